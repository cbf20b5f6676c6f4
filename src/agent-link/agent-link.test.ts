import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { encodeFrame, FrameKind } from "../protocol/frame.ts";
import {
  encodeMessage,
  PROTOCOL_VERSION,
  type BootMessage,
  type MountMessage,
} from "../protocol/generated/messages.ts";
import {
  breaksTheRules,
  connect,
  control,
  exited,
  hello,
  output,
  recorder,
  request,
  started,
} from "../../test/support/talking-guest.ts";
import { GuestBootError } from "./guest-boot-error.ts";

const mount: MountMessage = {
  type: "Mount",
  root: {
    layered: { lower: { serial: "l", fsType: "erofs" }, upperSerial: "u", upperSizeMib: 0 },
    shared: null,
    disk: null,
  },
  tmpSizeMib: 1,
  programs: [],
  network: null,
  trust: null,
};
const boot: BootMessage = {
  type: "Boot",
  hostname: "h",
  workdir: "",
  mounts: [],
  scripts: [],
  network: null,
  trust: null,
};
const mounted = control(0, { type: "Mounted" });
const ready = control(0, { type: "Ready" });

test("an honest guest", async (t) => {
  const { socket, link, lost } = await connect(t);
  socket.write(control(0, hello));
  assert.equal((await link.hello).kernelRelease, "6");
  const booted = link.boot([mount, boot]);
  socket.write(mounted);
  socket.write(ready);
  await booted;
  const { sink, heard } = recorder();
  const session = link.exec(request, sink);
  session.sendStdin(Buffer.from("in"));
  session.endStdin();
  socket.write(Buffer.concat([started, output(5), output(6, FrameKind.extra)]));
  socket.write(control(1, { type: "Credit", bytes: 2 }));
  socket.write(Buffer.concat([control(1, { type: "StopSending" }), exited]));
  // However many ask, one ping is under way at a time.
  const pongs = [link.ping(), link.ping(), link.ping()];
  socket.write(control(3, { type: "Pong", nonce: 1 }));
  await pongs[0];
  socket.write(control(5, { type: "Pong", nonce: 2 }));
  await Promise.all(pongs);
  // A second shutdown is told to the guest, too, and each gets its answer.
  const shutdowns = [link.shutdown(1000, 15), link.shutdown(0, 15)];
  socket.write(control(7, { type: "ShuttingDown" }));
  socket.write(control(9, { type: "ShuttingDown" }));
  await Promise.all(shutdowns);
  assert.deepEqual(heard, ["started 7", "output 1 5", "output 2 6", "credit 2", "stdin closed", "exited 0"]);
  socket.end();
  assert.equal(await lost, null);
  await assert.rejects(link.ping(), RuntimeError);
  const late = recorder();
  link.exec(request, late.sink);
  assert.ok((await late.lost) instanceof RuntimeError);
});

test("a guest that cannot boot", async (t) => {
  const { socket, link, lost } = await connect(t);
  const failedAs = (errno: number, step: string) => (error: unknown) =>
    error instanceof GuestBootError && error.errno === errno && error.step === step;
  // Both were asked for in one go, and a guest without a root becomes nothing.
  const booted = link.boot([mount, boot]);
  socket.write(control(0, { type: "BootFailed", step: "mount", errno: 22, message: "no" }));
  await assert.rejects(booted, failedAs(22, "mount"));
  // Neither waits any more.
  socket.write(ready);
  await breaksTheRules(lost, /Ready that nobody asked for/);
});

test("a guest that has its root and cannot become the sandbox", async (t) => {
  const { socket, link } = await connect(t);
  const booted = link.boot([mount, boot]);
  socket.write(mounted);
  socket.write(control(0, { type: "BootFailed", step: "workdir", errno: 20, message: "no" }));
  await assert.rejects(booted, (error) => error instanceof GuestBootError && error.step === "workdir");
});

test("a guest that was restored says no hello again, and is seeded before all else", async (t) => {
  const { socket, link, lost, told } = await connect(t, { restored: hello });
  assert.equal(await link.hello, hello);
  const from = Date.now();
  link.seed();
  link.setClock();
  const to = Date.now();
  const booted = link.boot([mount, boot]);
  // The answers need not wait for each other either.
  socket.write(Buffer.concat([mounted, ready]));
  await booted;
  const pinged = link.ping();
  socket.write(control(1, { type: "Pong", nonce: 1 }));
  await pinged;
  const [seed, clock, ...rest] = told;
  assert.ok(seed?.type === "Seed");
  assert.equal(seed.protocolVersion, PROTOCOL_VERSION);
  assert.equal(seed.entropy.length, 64);
  assert.ok(seed.entropy.some((byte) => byte !== 0));
  assert.ok(clock?.type === "Clock");
  const milliseconds = clock.seconds * 1000 + clock.nanoseconds / 1e6;
  assert.ok(milliseconds >= from && milliseconds <= to, `${from} ${milliseconds} ${to}`);
  assert.deepEqual(rest, [mount, boot, { type: "Ping", nonce: 1 }]);
  socket.write(control(0, hello));
  await breaksTheRules(lost, /AgentHello that nobody asked for/);
});

test("a guest that someone else has booted", async (t) => {
  for (const mounts of [true, false]) {
    const { socket, link, told, lost } = await connect(t, { restored: hello });
    socket.write(mounts ? Buffer.concat([mounted, ready]) : ready);
    await link.booted(mounts);
    assert.deepEqual(told, []);
    socket.write(mounted);
    await breaksTheRules(lost, /Mounted that nobody asked for/);
  }
});

test("no two guests are given the same randomness", async (t) => {
  const { socket, link, told } = await connect(t, { restored: hello });
  for (let count = 0; count < 20; count++) link.seed();
  const pinged = link.ping();
  socket.write(control(1, { type: "Pong", nonce: 1 }));
  await pinged;
  const given = told.flatMap((message) =>
    message.type === "Seed" ? [Buffer.from(message.entropy).toString("hex")] : [],
  );
  assert.equal(new Set(given).size, 20);
});

test("a guest that is ready before it has its root", async (t) => {
  const { socket, link, lost } = await connect(t, { restored: hello });
  const broken = assert.rejects(link.boot([mount, boot]), ProtocolError);
  socket.write(Buffer.concat([ready, mounted]));
  await breaksTheRules(lost, /Ready that nobody asked for/);
  await broken;
});

test("another protocol version", async (t) => {
  const { socket, link, lost } = await connect(t);
  socket.write(control(0, { ...hello, protocolVersion: PROTOCOL_VERSION + 1 }));
  await assert.rejects(
    link.hello,
    (error) => error instanceof ProtocolError && /version/.test(error.message) && error.hint !== "",
  );
  await breaksTheRules(lost, /version/);
});

const unasked: Record<string, [Buffer, RegExp]> = {
  "Ready that was not waited for": [ready, /Ready that nobody asked for/],
  "Mounted that was not waited for": [mounted, /Mounted that nobody asked for/],
  "hello twice": [control(0, hello), /AgentHello that nobody asked for/],
  "a pong for no ping": [control(0, { type: "Pong", nonce: 5 }), /not the connection's: Pong/],
  "a pong for another ping": [control(1, { type: "Pong", nonce: 5 }), /Pong that nobody asked for/],
  "figures instead of a pong": [
    control(1, { type: "Stats", memoryTotal: 1, memoryAvailable: 1, rootTotal: 1, rootFree: 1 }),
    /not of this service: Stats/,
  ],
  "figures nobody wants": [
    control(3, { type: "Stats", memoryTotal: 1, memoryAvailable: 1, rootTotal: 1, rootFree: 1 }),
    /stream 3, which is not open/,
  ],
  "the end that nobody asked for": [
    control(0, { type: "ShuttingDown" }),
    /not the connection's: ShuttingDown/,
  ],
  "events twice": [
    Buffer.concat([control(2, { type: "Events" }), control(4, { type: "Events" })]),
    /Events that nobody asked for/,
  ],
  "events that count backwards": [
    Buffer.concat([
      control(2, { type: "Events" }),
      control(2, { type: "OutOfMemory", kills: 2 }),
      control(2, { type: "OutOfMemory", kills: 1 }),
    ]),
    /counts its killed processes backwards/,
  ],
  "a failed boot after the boot": [
    control(0, { type: "BootFailed", step: "", errno: 0, message: "" }),
    /BootFailed that nobody asked for/,
  ],
  "a stream that is not open": [
    control(9, { type: "ExecStarted", pid: 1, sessionId: 0 }),
    /stream 9, which is not open/,
  ],
  "output on a stream that is not open": [encodeFrame(9, FrameKind.data, Buffer.from("x")), /stream 9/],
  "a message that only a supervisor sends": [control(0, { type: "Shutdown", graceMs: 1, signal: 15 }), /./],
  garbage: [Buffer.alloc(4096, "garbage "), /frame length/],
  zeros: [Buffer.alloc(64), /frame length/],
  "a length beyond any frame": [Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0]), /frame length/],
  "a frame of no known kind": [Buffer.from([0, 0, 0, 6, 0, 0, 0, 1, 9, 0]), /frame kind/],
  "output on stream 0": [Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 2, 0]), /stream 0/],
  "a message of no known tag": [Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 0, 0xee]), /./],
  "a message with more behind it": [
    encodeFrame(0, FrameKind.control, Buffer.concat([encodeMessage({ type: "Ready" }), Buffer.from("more")])),
    /./,
  ],
};

for (const [what, [bytes, message]] of Object.entries(unasked)) {
  test(`${what}: the connection ends`, async (t) => {
    const { socket, link, lost } = await connect(t);
    socket.write(control(0, hello));
    await link.hello;
    const booted = link.boot([mount, boot]);
    socket.write(Buffer.concat([mounted, ready]));
    await booted;
    const ping = link.ping();
    socket.write(bytes);
    await breaksTheRules(lost, message);
    await assert.rejects(ping, ProtocolError);
  });
}

test("half a frame and then silence", async (t) => {
  const { socket, lost } = await connect(t, { frameTimeoutMs: 50 });
  socket.write(control(0, hello).subarray(0, 6));
  await breaksTheRules(lost, /part of a frame.* 50 ms/);
});

test("half a frame and then the end", async (t) => {
  const { socket, link, lost } = await connect(t);
  socket.end(control(0, hello).subarray(0, 12));
  // QEMU was killed, perhaps: that is nothing that the guest did.
  assert.match(String(await lost), /^RuntimeError: .* cut off inside a frame/);
  await assert.rejects(link.hello, RuntimeError);
});

test("a guest that sends nothing but frames that are allowed, byte by byte", async (t) => {
  const { socket, link } = await connect(t, { frameTimeoutMs: 10_000 });
  for (const byte of control(0, hello)) socket.write(Buffer.from([byte]));
  assert.equal((await link.hello).agentVersion, "0");
});

test("what happens in the guest is told, but not without end", async (t) => {
  const told: string[] = [];
  const { socket, lost } = await connect(t, { event: (level, text) => told.push(`${level} ${text}`) });
  socket.write(Buffer.concat([control(2, { type: "Events" }), control(2, { type: "PowerOff" })]));
  for (let kills = 1; kills <= 500; kills++) socket.write(control(2, { type: "OutOfMemory", kills }));
  socket.end();
  assert.equal(await lost, null);
  assert.equal(told.length, 100);
  assert.match(told[0] ?? "", /^info .*from inside/);
  assert.match(told[1] ?? "", /^warn memory ran out .* 1 processes/);
  assert.match(told[99] ?? "", /no more of its events/);
});
