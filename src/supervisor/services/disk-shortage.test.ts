import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test, type TestContext } from "node:test";
import type { QmpEvent } from "../../machine/qmp/qmp.ts";
import { DiskShortage } from "./disk-shortage.ts";

/** A QEMU that says what the test lets it say. */
function held(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const events = new EventEmitter<{ event: [QmpEvent] }>();
  const machine = {
    events,
    runs: true,
    resumed: 0,
    resume: () => {
      machine.resumed++;
      return Promise.resolve();
    },
  };
  const log: string[] = [];
  const notices: string[] = [];
  const shortage = new DiskShortage({
    machine,
    log: { write: (level, text) => log.push(`${level} ${text}`) },
    notice: (text) => notices.push(text),
  });
  const fails = (action: string, reason = "No space left on device"): void => {
    events.emit("event", { name: "BLOCK_IO_ERROR", data: { operation: "write", action, reason } });
    if (action === "stop") machine.runs = false;
  };
  const pass = (): void => {
    t.mock.timers.tick(1000);
  };
  return { shortage, machine, log, notices, fails, pass };
}

test("a full disk is told once, and tried again until there is space", (t) => {
  const { shortage, machine, log, notices, fails, pass } = held(t);
  fails("stop");
  fails("stop");
  assert.equal(shortage.lasts, true);
  for (let n = 1; n <= 3; n++) {
    pass();
    assert.equal(machine.resumed, n);
    machine.runs = true;
    fails("stop");
  }
  assert.equal(notices.length, 1);
  pass();
  machine.runs = true;
  assert.equal(shortage.lasts, true);
  pass();
  assert.equal(shortage.lasts, false);
  assert.deepEqual(
    log.map((line) => line.slice(0, 36)),
    ["error the host's disk is full (No spa", "warn the host's disk has space again"].map((l) =>
      l.slice(0, 36),
    ),
  );
  pass();
  assert.equal(machine.resumed, 4);
});

test("another error is the guest's, and told to the host's user once", (t) => {
  const { shortage, machine, log, notices, fails, pass } = held(t);
  fails("report", "Disk quota exceeded");
  fails("report", "Disk quota exceeded");
  pass();
  assert.equal(shortage.lasts, false);
  assert.equal(machine.resumed, 0);
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? "", /write .*Disk quota exceeded.*I\/O error/);
  assert.equal(log.length, 2);
});

test("a machine that has ended is not told to go on", (t) => {
  const { shortage, machine, fails, pass } = held(t);
  fails("stop");
  shortage.stop();
  pass();
  fails("stop");
  pass();
  assert.equal(machine.resumed, 0);
  assert.equal(shortage.lasts, false);
});
