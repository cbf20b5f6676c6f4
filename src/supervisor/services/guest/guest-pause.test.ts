import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeError, SandboxNotRunningError, SandboxPausedError } from "../../../errors/index.ts";
import { GuestPause } from "./guest-pause.ts";

/** A guest whose machine tells what is done to it. */
function guest() {
  const done: string[] = [];
  const machine = {
    fails: false,
    pause: () => {
      done.push("stop");
      return machine.fails ? Promise.reject(new Error("QEMU is gone")) : Promise.resolve();
    },
    resume: () => {
      done.push("cont");
      return Promise.resolve();
    },
  };
  const disk = { isFull: false };
  const agent = {
    flush: () => {
      done.push("flush");
      return Promise.resolve();
    },
    setClock: () => done.push("clock"),
  };
  const pause = new GuestPause({
    ...{ name: "demo", machine, agent },
    resumed: () => done.push("resumed"),
    changed: (isPaused) => {
      done.push(isPaused ? "paused" : "running");
      return disk.isFull ? Promise.reject(new Error("no space left")) : Promise.resolve();
    },
  });
  return { pause, machine, disk, done };
}

const goesOn = ["clock", "cont", "clock", "resumed", "running"];

test("a guest is held, and goes on with the time of now", async () => {
  const { pause, done } = guest();
  await pause.resume();
  assert.deepEqual(done, []);
  await pause.pause("fail", true);
  assert.equal(pause.isPaused, true);
  assert.deepEqual(done.splice(0), ["flush", "stop", "paused"]);
  await pause.resume();
  assert.equal(pause.isPaused, false);
  assert.deepEqual(done, goesOn);
});

test("calls fail, wait or wake it, as was said last", async () => {
  const { pause, done } = guest();
  pause.call();
  await pause.pause("fail", false);
  assert.throws(() => pause.call(), SandboxPausedError);
  await pause.pause("wait", false);
  pause.call();
  pause.wake();
  await pause.pause("wake", false);
  assert.deepEqual(done.splice(0), ["stop", "paused"]);
  pause.call();
  pause.call();
  await pause.resume();
  assert.deepEqual(done, goesOn);
});

test("a call that comes while it is being paused wakes it", async () => {
  const { pause, done } = guest();
  const paused = pause.pause("wake", false);
  await Promise.resolve();
  pause.call();
  await paused;
  await pause.resume();
  assert.deepEqual(done, ["stop", "paused", ...goesOn]);
});

test("one that is used again before its turn is not paused", async () => {
  const { pause, done } = guest();
  await pause.pause("wake", false, () => false);
  assert.equal(pause.isPaused, false);
  assert.deepEqual(done, []);
});

test("a paused guest does not run to flush", async () => {
  const { pause } = guest();
  await pause.pause("fail", false);
  await assert.rejects(pause.pause("fail", true), RuntimeError);
});

test("a machine that cannot be held is not said to be", async () => {
  const { pause, machine, done } = guest();
  machine.fails = true;
  await assert.rejects(pause.pause("fail", false), /QEMU is gone/);
  assert.equal(pause.isPaused, false);
  assert.deepEqual(done, ["stop"]);
});

test("a guest of which nobody could see that it is held goes on", async () => {
  const { pause, disk, done } = guest();
  disk.isFull = true;
  await assert.rejects(pause.pause("fail", false), /no space left/);
  assert.equal(pause.isPaused, false);
  pause.call();
  assert.deepEqual(done.splice(0), ["stop", "paused", ...goesOn]);
  disk.isFull = false;
  await pause.pause("fail", false);
  assert.deepEqual(done.splice(0), ["stop", "paused"]);
});

test("that a guest goes on is told as soon as that can be", async () => {
  const { pause, disk, done } = guest();
  await pause.pause("fail", false);
  disk.isFull = true;
  done.splice(0);
  await assert.rejects(pause.resume(), /no space left/);
  assert.equal(pause.isPaused, false);
  pause.call();
  assert.deepEqual(done.splice(0), goesOn);
  await assert.rejects(pause.resume(), /no space left/);
  disk.isFull = false;
  await pause.resume();
  await pause.resume();
  assert.deepEqual(done, ["running", "running"]);
});

test("a guest that is to end goes on, and is not held again", async () => {
  const { pause, done } = guest();
  await pause.pause("fail", false);
  pause.end();
  await assert.rejects(pause.pause("fail", false), SandboxNotRunningError);
  assert.deepEqual(done, ["stop", "paused", ...goesOn]);
});

test("one that is paused runs for no longer than it has to answer, and only then", async () => {
  const { pause, done } = guest();
  const note = (what: string) => (): Promise<number> => Promise.resolve(done.push(what));
  await pause.briefly(true, async (wake) => {
    await wake();
    await note("work")();
  });
  assert.deepEqual(done.splice(0), ["work"]);
  await pause.pause("fail", false);
  done.length = 0;
  await pause.briefly(false, async (wake) => {
    await note("before")();
    await wake();
    await note("work")();
  });
  assert.deepEqual(done.splice(0), ["before", "clock", "cont", "work", "stop"]);
  await assert.rejects(pause.briefly(true, note("never")), /does not run to flush/);
  await assert.rejects(
    pause.briefly(false, () => Promise.reject(new Error("no space left"))),
    /no space left/,
  );
  assert.deepEqual(done, ["stop"]);
  assert.equal(pause.isPaused, true);
});
