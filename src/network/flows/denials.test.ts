import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import type { FlowDenied } from "../events.ts";
import { Denials } from "./denials.ts";

function denied(over: Partial<FlowDenied> = {}): FlowDenied {
  return {
    kind: "flow-denied",
    timestampMs: 0,
    flow: 1,
    direction: "egress",
    protocol: "tcp",
    address: "192.0.2.1",
    group: "public",
    port: 80,
    name: null,
    rule: null,
    reason: "policy",
    count: 1,
    ...over,
  };
}

describe("denials", () => {
  it("that are the like of one are told as one, and none is left out of the sum", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const told: FlowDenied[] = [];
    const denials = new Denials((event) => told.push(event));
    for (let count = 0; count < 1000; count++) denials.add(denied({ flow: count }));
    denials.add(denied({ port: 81 }));
    assert.deepEqual(
      told.map(({ port, count }) => [port, count]),
      [
        [80, 1],
        [81, 1],
      ],
    );
    mock.timers.tick(10_000);
    assert.deepEqual(
      told.slice(2).map(({ port, count, flow }) => [port, count, flow]),
      [[80, 999, 999]],
    );
    denials.add(denied());
    assert.equal(told.length, 4);
    denials.flush();
    mock.timers.reset();
  });

  it("of a scan fill neither memory nor a log", () => {
    const told: FlowDenied[] = [];
    const denials = new Denials((event) => told.push(event));
    for (let port = 0; port < 65_536; port++) denials.add(denied({ port }));
    assert.equal(told.length, 256);
    denials.flush();
    assert.equal(told.length, 257);
    assert.equal(
      told.reduce((sum, { count }) => sum + count, 0),
      65_536,
    );
  });
});
