import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test, type TestContext } from "node:test";
import type { QmpEvent } from "../../../machine/qmp/qmp.ts";
import { DiskShortage } from "./disk-shortage.ts";

/** A QEMU that says what the test lets it say. */
function held(t: TestContext, outOfSpace = new Promise<void>(() => undefined)) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const events = new EventEmitter<{ event: [QmpEvent] }>();
  const machine = {
    events,
    runs: true,
    outOfSpace,
    resumed: 0,
    resume: () => {
      machine.resumed++;
      return Promise.resolve();
    },
  };
  const log: string[] = [];
  const notices: string[] = [];
  const paused = { is: false };
  const shortage = new DiskShortage({
    machine,
    isPaused: () => paused.is,
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
  return { shortage, paused, machine, log, notices, fails, pass };
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
    ["error the host's disk is full (No spa", "error the host's disk was full for 0 s"].map((l) =>
      l.slice(0, 36),
    ),
  );
  pass();
  assert.equal(machine.resumed, 4);
});

test("a disk that was full before anybody listened holds the guest no longer than one that fills later", async (t) => {
  const { shortage, machine, log, notices, pass } = held(t, Promise.resolve());
  machine.runs = false;
  await Promise.resolve();
  assert.equal(shortage.lasts, true);
  assert.match(notices.join(), /^the host's disk is full \(No space left on device\)/);
  pass();
  assert.equal(machine.resumed, 1);
  machine.runs = true;
  pass();
  assert.equal(shortage.lasts, false);
  assert.equal(log.length, 2);
});

test("one that both ways are told of is told once", async (t) => {
  const full = Promise.withResolvers<void>();
  const { shortage, machine, notices, fails, pass } = held(t, full.promise);
  full.resolve();
  fails("stop");
  await full.promise;
  assert.equal(notices.length, 1);
  pass();
  machine.runs = true;
  pass();
  assert.deepEqual([machine.resumed, shortage.lasts], [1, false]);
});

test("one that is told of after the machine's end holds nothing", async (t) => {
  const ended = held(t, Promise.resolve());
  ended.shortage.stop();
  await Promise.resolve();
  assert.deepEqual([ended.shortage.lasts, ended.notices], [false, []]);
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

test("a guest that is paused meanwhile stays so when there is space again", (t) => {
  const { machine, paused, fails, pass } = held(t);
  fails("stop");
  paused.is = true;
  pass();
  pass();
  assert.equal(machine.resumed, 0);
  paused.is = false;
  pass();
  assert.equal(machine.resumed, 1);
});
