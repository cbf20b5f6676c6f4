import assert from "node:assert/strict";
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { Operation } from "../../host/operation.ts";
import type { DnsAnswered, FlowOpened, NetworkLogEvent } from "../../network/events.ts";
import { formatNetworkLine } from "../../store/network-log-format.ts";
import { networkSupervisor, type NetworkSupervisor } from "../../../test/support/network-supervisor.ts";
import { networkEvents, type NetworkEventOptions } from "./network-events.ts";

function question(name: string, timestampMs = Date.now()): DnsAnswered {
  return {
    ...{ kind: "dns", timestampMs, name, type: "A", transport: "udp", resolver: null },
    ...{ outcome: "answered", rcode: "NOERROR", addresses: ["192.0.2.1"], rule: 0 },
  };
}

const opened: FlowOpened = {
  ...{ kind: "flow-opened", timestampMs: 1_000, flow: 1, direction: "egress", protocol: "tcp" },
  ...{ address: "192.0.2.1", group: "public", port: 443, name: "example.com", rule: 1 },
};

/** In a few letters. */
function short(event: NetworkLogEvent): string {
  if (event.kind === "dns") return event.name;
  if (event.kind === "policy") return `policy ${event.cause}`;
  return event.kind === "lost" ? `lost ${event.count}` : event.kind;
}

/** @param until as many events are read, or all there are */
async function read(
  { control }: NetworkSupervisor,
  options: NetworkEventOptions = {},
  until = Number.POSITIVE_INFINITY,
  each: (event: NetworkLogEvent, count: number) => Promise<void> | void = () => undefined,
): Promise<NetworkLogEvent[]> {
  const found: NetworkLogEvent[] = [];
  await Operation.run("read", { timeoutMs: 10_000 }, async (operation) => {
    for await (const event of networkEvents(control, options, operation)) {
      found.push(event);
      await each(event, found.length);
      if (found.length >= until) break;
    }
  });
  return found;
}

test("what is logged is told in order, and ends there", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.event(opened);
  supervisor.event(question("a\\000b.example"));
  supervisor.event({ ...opened, kind: "flow-closed", bytesSent: 1, bytesReceived: 2, reason: "policy" });
  supervisor.event({ ...opened, kind: "flow-denied", reason: "blocked-port", count: 3 });
  await supervisor.log.flush();
  const [policy, first, second, third, fourth] = await read(supervisor);
  assert.equal(policy?.kind, "policy");
  assert.deepEqual(first, opened);
  assert.equal(second?.kind === "dns" && second.name, "a\\000b.example");
  assert.equal(third?.kind === "flow-closed" && third.reason, "policy");
  assert.equal(fourth?.kind === "flow-denied" && fourth.count, 3);
});

test("who follows is told what comes to pass, each once, until the sandbox ends", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.event(question("before"));
  const events = await read(supervisor, { follow: true }, undefined, async (event) => {
    if (short(event) === "before") for (let n = 1; n <= 3; n++) supervisor.event(question(`live${n}`));
    if (short(event) === "live3") {
      supervisor.event(question("last"));
      await supervisor.end();
    }
  });
  assert.deepEqual(events.map(short), ["policy start", "before", "live1", "live2", "live3", "last"]);
});

test("who is slow finds in the log what was not kept for him", async (t) => {
  const supervisor = await networkSupervisor(t);
  const events = await read(supervisor, { follow: true }, undefined, async (event) => {
    if (event.kind === "policy") {
      for (let n = 0; n < 5000; n++) supervisor.event(question(String(n)));
      await supervisor.log.flush();
    }
    if (short(event) === "4999") await supervisor.end();
  });
  assert.deepEqual(
    events.slice(1).map(short),
    Array.from({ length: 5000 }, (_, n) => String(n)),
  );
});

test("what is in no file and was not kept is told of as lost", async (t) => {
  const supervisor = await networkSupervisor(t);
  const events = await read(supervisor, { follow: true }, undefined, async (event) => {
    if (event.kind === "policy") {
      for (let n = 0; n < 3000; n++) supervisor.event(question(String(n)));
      await supervisor.log.flush();
      await writeFile(supervisor.logPath, "");
    }
    if (short(event) === "2999") await supervisor.end();
  });
  const [, lost] = events;
  assert.ok(lost?.kind === "lost" && lost.count > 1000, short(lost as NetworkLogEvent));
  assert.equal(lost.count + events.length - 2, 3000);
});

test("with a moment to begin with, the policy of that time comes first", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.event(question("old", 1_000));
  supervisor.event(question("new", 2_000_000_000_000));
  await supervisor.log.flush();
  const since = new Date(1_900_000_000_000);
  assert.deepEqual((await read(supervisor, { since })).map(short), ["policy start", "new"]);
  await assert.rejects(read(supervisor, { since: new Date(Number.NaN) }), InvalidConfigError);
});

test("lines of a rotated file come first, its head is no event, and what is no line is passed over", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.event(question("one"));
  await supervisor.log.flush();
  await rename(supervisor.logPath, `${supervisor.logPath}.1`);
  const policy = { defaultEgress: "deny", defaultIngress: "deny", rules: [] } as const;
  const head = { kind: "policy", cause: "rotation", timestampMs: 1, policy, observe: false } as const;
  const lines = [
    formatNetworkLine(2, head),
    '{"t":"2026',
    formatNetworkLine(3, question("two")),
    formatNetworkLine(6, question("three")),
  ];
  await writeFile(supervisor.logPath, lines.map((line) => `${line}\n`).join(""));
  await appendFile(supervisor.logPath, formatNetworkLine(7, question("torn")));
  assert.deepEqual((await read(supervisor)).map(short), ["policy start", "one", "two", "lost 2", "three"]);
  // Where the older file is gone, the head tells what is needed to understand the others.
  await rename(supervisor.logPath, `${supervisor.logPath}.1`);
  await writeFile(supervisor.logPath, "");
  assert.deepEqual((await read(supervisor)).map(short), ["policy rotation", "two", "lost 2", "three"]);
});

test("the numbers of a log go on in the next run, also after a line that was torn", async (t) => {
  const supervisor = await networkSupervisor(t);
  supervisor.event(question("one"));
  await supervisor.log.flush();
  await appendFile(supervisor.logPath, '{"t":"2026-');
  const next = await supervisor.reopenLog();
  next.policy("start", { defaultEgress: "allow", defaultIngress: "allow", rules: [] }, true);
  next.event(question("two"));
  await next.close();
  const text = await readFile(supervisor.logPath, "utf8");
  assert.deepEqual(text.match(/"n":\d+/g), ['"n":1', '"n":2', '"n":3', '"n":4']);
  assert.deepEqual((await read(supervisor)).map(short), ["policy start", "one", "policy start", "two"]);
});

test("a sandbox without a network has no events, and says so", async (t) => {
  const supervisor = await networkSupervisor(t);
  await assert.rejects(read({ ...supervisor, control: supervisor.without }), UnsupportedOperationError);
});

test("who leaves is not told any more, and gives up his subscription", async (t) => {
  const supervisor = await networkSupervisor(t);
  await read(supervisor, { follow: true }, 1);
  // The supervisor allows 64 at a time.
  for (let n = 0; n < 70; n++) await read(supervisor, { follow: true }, 1);
});
