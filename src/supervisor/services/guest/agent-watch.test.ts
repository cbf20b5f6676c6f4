import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test, type TestContext } from "node:test";
import { connect, output, recorder, request, started } from "../../../../test/support/talking-guest.ts";
import { AgentUnresponsiveError } from "../../../errors/index.ts";
import type { QmpEvent } from "../../../machine/qmp/qmp.ts";
import { AgentWatch } from "./agent-watch.ts";
import { DiskShortage } from "./disk-shortage.ts";

/** A watch whose time passes by the call, and what an agent of its would have been told. */
function watched(t: TestContext, timeoutMs = 400) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const state = { received: 0, pings: 0, givenUp: null } as {
    received: number;
    pings: number;
    givenUp: Error | null;
  };
  const agent = {
    get received() {
      return state.received;
    },
    ping: () => {
      state.pings++;
      return new Promise<void>(() => undefined);
    },
    giveUp: (reason: Error) => {
      state.givenUp = reason;
    },
  };
  const events = new EventEmitter<{ event: [QmpEvent] }>();
  const machine = {
    events,
    runs: true,
    outOfSpace: new Promise<void>(() => undefined),
    resume: () => Promise.resolve(),
  };
  const shortage = new DiskShortage({
    machine,
    isPaused: () => false,
    log: { write: () => undefined },
    notice: () => undefined,
  });
  t.after(() => {
    shortage.stop();
  });
  const paused = { is: false };
  const watch = new AgentWatch({ agent, timeoutMs, isHeld: () => shortage.lasts || paused.is });
  /** QEMU stops the guest, and says why if it does. */
  const stop = (...before: QmpEvent[]): void => {
    machine.runs = false;
    for (const event of [...before, { name: "STOP", data: {} }]) events.emit("event", event);
  };
  const goOn = (): void => {
    machine.runs = true;
    events.emit("event", { name: "RESUME", data: {} });
  };
  /** @param lateMs how long this process did not run at the end */
  const pass = async (ms: number, lateMs = 0): Promise<void> => {
    now += ms + lateMs;
    t.mock.timers.tick(ms);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  };
  return { state, watch, shortage, paused, stop, goOn, pass };
}

test("a silent agent is asked once, and given up when nothing comes for so long", async (t) => {
  const { state, pass } = watched(t);
  await pass(100);
  assert.equal(state.pings, 1);
  for (let n = 0; n < 3; n++) await pass(100);
  assert.equal(state.givenUp, null);
  await pass(100);
  const { givenUp } = state;
  assert.match(String(givenUp), /AgentUnresponsiveError: .*400 ms/);
  assert.equal(state.pings, 1);
});

test("any bytes are a sign of life; one that talks is not even asked", async (t) => {
  const { state, pass } = watched(t);
  for (let n = 0; n < 20; n++) {
    state.received++;
    await pass(100);
  }
  const askedBefore = state.pings;
  assert.equal(askedBefore, 0);
  // The answer is still in line behind a flood, which pauses now and then.
  for (let n = 0; n < 60; n++) {
    if (n % 4 === 0) state.received++;
    await pass(100);
  }
  assert.ok(state.pings > askedBefore);
  assert.equal(state.givenUp, null);
});

test("while this process does not run, and while the host's disk is full, nobody is given up", async (t) => {
  const { state, shortage, stop, goOn, pass } = watched(t);
  for (let n = 0; n < 20; n++) await pass(100, 60);
  assert.equal(state.givenUp, null);
  stop({
    name: "BLOCK_IO_ERROR",
    data: { operation: "write", action: "stop", reason: "No space left on device" },
  });
  for (let n = 0; n < 20; n++) await pass(100);
  assert.equal(state.givenUp, null);
  goOn();
  while (shortage.lasts) await pass(100);
  // From then on, which was the last look already, it gets all of its time.
  for (let n = 0; n < 2; n++) await pass(100);
  assert.equal(state.givenUp, null);
  await pass(100);
  assert.notEqual(state.givenUp, null);
});

test("a guest that QEMU has stopped for another reason is given up", async (t) => {
  const { state, shortage, stop, pass } = watched(t);
  stop();
  for (let n = 0; n < 4; n++) await pass(100);
  assert.equal(state.givenUp, null);
  await pass(100);
  const { givenUp } = state;
  assert.match(String(givenUp), /AgentUnresponsiveError/);
  assert.equal(shortage.lasts, false);
});

test("a limit of 0 is none, and a watch that was stopped asks no more", async (t) => {
  const off = watched(t, 0);
  await off.pass(1_000_000);
  assert.equal(off.state.pings, 0);
  t.mock.timers.reset();
  t.mock.restoreAll();
  const { state, watch, pass } = watched(t);
  watch.stop();
  await pass(1000);
  assert.deepEqual(state, { received: 0, pings: 0, givenUp: null });
});

test("a guest that is paused is not asked, and has all its time when it goes on", async (t) => {
  const { state, paused, pass } = watched(t);
  paused.is = true;
  for (let times = 0; times < 20; times++) await pass(400);
  assert.deepEqual([state.pings, state.givenUp], [0, null]);
  paused.is = false;
  await pass(400);
  assert.equal(state.givenUp, null);
  for (let times = 0; times < 10; times++) await pass(100);
  assert.match(String(state.givenUp), /stands still/);
});

test("whoever waits for a guest that stands still is told so", async (t) => {
  const { socket, link, lost, told } = await connect(t);
  const { sink, lost: why } = recorder();
  link.exec(request, sink);
  socket.write(Buffer.concat([started, output(1)]));
  const ping = link.ping();
  ping.catch(() => undefined);
  const watch = new AgentWatch({ agent: link, timeoutMs: 40, isHeld: () => false });
  t.after(() => {
    watch.stop();
  });
  assert.ok((await lost) instanceof AgentUnresponsiveError);
  assert.ok((await why) instanceof AgentUnresponsiveError);
  await assert.rejects(ping, AgentUnresponsiveError);
  assert.deepEqual(
    told.map(({ type }) => type),
    ["Exec", "Ping"],
  );
});
