import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  InvalidConfigError,
  RuntimeError,
  Sandbox,
  SandboxNotRunningError,
  SandboxPausedError,
  SandboxStillRunningError,
} from "../../../src/index.ts";
import { places } from "../../internet/places.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { smallMemory, timeout } from "../lifecycle-support.ts";
import { clockIsRight, eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "internet"];

// A guest that is held while it works, and goes on as if nothing had been.
const cli = new MsbHome({ path: useTemporaryHome() });

const counting = "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.02; done";

async function statusOf(name: string): Promise<string> {
  return (await Sandbox.get(name)).status;
}

describe("paused by a call", () => {
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await Sandbox.builder("pause").image("localhost/base").memory(smallMemory).create();
  });
  after(() => sandbox.stop());

  test("it stands still, costs no processor time, and goes on", { timeout }, async () => {
    const counter = await sandbox.execStream("sh", ["-c", counting]);
    await printed(counter);
    await sandbox.pause();
    assert.equal(await statusOf("pause"), "paused");
    // What was on its way is here; from now on nothing comes.
    const before = await sandbox.metrics();
    const heard = counter.recv();
    let isHeard = false;
    const drain = (async () => {
      for (let event = await heard; event !== null; event = await counter.recv()) isHeard = true;
    })();
    await sleep(200);
    isHeard = false;
    await sleep(1500);
    assert.equal(isHeard, false, "it goes on printing");
    const after = await sandbox.metrics();
    assert.equal(after.memoryAvailableBytes, null);
    const usedMs = (after.vcpuTimeNs - before.vcpuTimeNs) / 1e6;
    assert.ok(usedMs < 30, `${usedMs} ms of processor time while it was paused`);
    await sandbox.resume();
    assert.equal(await statusOf("pause"), "running");
    await eventually("the counter to go on", () => Promise.resolve(isHeard ? true : null));
    await counter.kill();
    await drain;
  });

  test("its memory is as it was, and its clocks are right", { timeout }, async () => {
    await sandbox.shell(
      "head -c 4000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum",
    );
    const uptime = async (): Promise<number> =>
      Number((await sandbox.shell("cut -d' ' -f1 /proc/uptime")).stdout());
    const upBefore = await uptime();
    for (let times = 0; times < 20; times++) {
      await sandbox.pause();
      await sandbox.resume();
    }
    await sandbox.pause();
    await sleep(1000);
    await sandbox.resume();
    await clockIsRight(sandbox);
    assert.ok((await uptime()) >= upBefore, "monotonic time has gone back");
    assert.equal((await sandbox.shell("md5sum -c /dev/shm/sum")).code, 0);
  });

  test("a connection of its own lives on", { timeout }, async () => {
    const server = createServer((socket) => void socket.pipe(socket));
    server.listen(7, places.host4);
    await once(server, "listening");
    const echo = await sandbox.execStreamWith("nc", (e) => e.args([places.host4, "7"]).stdinPipe());
    const stdin = echo.takeStdin();
    await stdin?.write("before\n");
    const hear = async (): Promise<string> => {
      for (let event = await echo.recv(); event !== null; event = await echo.recv())
        if (event.kind === "stdout") return Buffer.from(event.data).toString();
      return "";
    };
    assert.equal(await hear(), "before\n");
    await sandbox.pause({ calls: "wait" });
    await sleep(2000);
    await stdin?.write("meanwhile\n");
    await sandbox.resume();
    assert.equal(await hear(), "meanwhile\n");
    await stdin?.close();
    assert.equal((await echo.wait()).code, 0);
    server.close();
  });

  test("calls fail, wait for its end, or wake it, as was said", { timeout }, async () => {
    await sandbox.pause();
    for (const call of [
      () => sandbox.exec("true"),
      () => sandbox.fs().exists("/"),
      () => sandbox.ping(),
      () => sandbox.connect(80),
    ])
      await assert.rejects(call, SandboxPausedError);
    await assert.rejects(Sandbox.start("pause"), SandboxStillRunningError);
    await assert.rejects(sandbox.pause({ guestFlush: "required" }), RuntimeError);
    await assert.rejects(sandbox.pause({ calls: "maybe" as never }), InvalidConfigError);
    await sandbox.pause({ calls: "wait" });
    let isDone = false;
    const waiting = sandbox.exec("echo", ["done"]).finally(() => (isDone = true));
    await sleep(500);
    assert.equal(isDone, false);
    assert.equal(await statusOf("pause"), "paused");
    await sandbox.resume();
    assert.equal((await waiting).stdout(), "done\n");
    await sandbox.pause({ calls: "wake", guestFlush: "required" });
    assert.equal((await sandbox.exec("echo", ["woken"])).stdout(), "woken\n");
    await eventually("its status", async () => ((await statusOf("pause")) === "running" ? true : null));
  });

  test("msb pause and msb resume", { timeout }, async () => {
    const paused = await cli.msb("pause", "pause");
    assert.equal(paused.code, 0, paused.stderr);
    const failed = await cli.msb("exec", "pause", "--", "true");
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /is paused[^]*msb resume pause/);
    assert.match((await cli.msb("ls")).stdout, /pause .*paused/);
    assert.equal((await cli.msb("resume", "-q", "pause")).code, 0);
    assert.equal((await cli.msb("exec", "pause", "--", "true")).code, 0);
    assert.equal((await cli.msb("pause", "--calls", "perhaps", "pause")).code, 2);
  });
});

test(
  "a paused sandbox is stopped in order, drained, killed, and ends with its owner",
  { timeout },
  async () => {
    const builder = () => Sandbox.builder("ends").image("localhost/base").memory(smallMemory).replace();
    const stopped = await builder().create();
    await stopped.shell("echo kept > /root/note");
    await stopped.pause();
    await stopped.stop();
    assert.equal(await statusOf("ends"), "stopped");
    await assert.rejects(stopped.pause(), SandboxNotRunningError);
    const again = await Sandbox.start("ends");
    assert.equal((await again.exec("cat", ["/root/note"])).stdout(), "kept\n");
    await again.pause();
    await again.requestDrain();
    assert.equal((await again.waitUntilStopped()).status, "stopped");
    const killed = await Sandbox.start("ends");
    await killed.pause();
    await killed.kill();
    assert.equal(await statusOf("ends"), "stopped");
    {
      await using owned = await Sandbox.start("ends");
      await owned.pause();
    }
    assert.equal(await statusOf("ends"), "stopped");
  },
);

test(
  "whoever touches a sandbox that was paused by hand does not end it, nor wake it",
  { timeout },
  async () => {
    await using sandbox = await Sandbox.builder("touched")
      .image("localhost/base")
      .memory(smallMemory)
      .idleTimeout(1)
      .idlePause(0.5)
      .create();
    await sandbox.pause();
    await sandbox.touch();
    await sleep(2500);
    assert.equal(await statusOf("touched"), "paused");
    await assert.rejects(sandbox.exec("true"), SandboxPausedError);
    await sandbox.resume();
    assert.equal((await sandbox.exec("true")).code, 0);
  },
);

describe("paused when it is idle", { concurrency: true }, () => {
  const idle = (name: string) =>
    Sandbox.builder(name).image("localhost/base").memory(smallMemory).idlePause(0.5);
  const sleeps = (name: string): Promise<true> =>
    eventually("it to be paused", async () => ((await statusOf(name)) === "paused" ? true : null));

  test("any call wakes it, metrics do not", { timeout }, async () => {
    await using sandbox = await idle("sleepy").create();
    const running = await sandbox.exec("sleep", ["1.5"]);
    assert.equal(running.code, 0);
    await sleeps("sleepy");
    await sandbox.metrics();
    assert.equal(await statusOf("sleepy"), "paused");
    for (const call of [
      () => sandbox.exec("true"),
      () => sandbox.fs().exists("/"),
      () => sandbox.ping(),
      () => sandbox.touch(),
    ]) {
      await sleeps("sleepy");
      await call();
    }
    await sleeps("sleepy");
  });

  test(
    "a connection to a published port wakes it, and keeps it awake while it is open",
    { timeout },
    async () => {
      await using sandbox = await idle("server").port(0, 80).create();
      await sandbox.shell("while :; do nc -l -p 80 -e cat; done > /dev/null 2>&1 &");
      await sandbox.waitForPort(80);
      const [port] = await sandbox.ports();
      await sleeps("server");
      const socket: Socket = connect(port?.hostPort ?? 0, "127.0.0.1");
      socket.write("hello");
      assert.equal(String(((await once(socket, "data")) as [Buffer])[0]), "hello");
      await sleep(1500);
      assert.equal(await statusOf("server"), "running");
      socket.destroy();
      await sleeps("server");
    },
  );
});
