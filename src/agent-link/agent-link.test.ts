import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { INITIAL_CREDIT } from "../protocol/credit.ts";
import { encodeFrame, FrameDecoder, FrameKind, MAX_BULK_PAYLOAD } from "../protocol/frame.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type AgentHelloMessage,
  type BootMessage,
  type ExecMessage,
  type Message,
  type MountMessage,
} from "../protocol/generated/messages.ts";
import { AgentLink, type AgentLinkOptions } from "./agent-link.ts";
import type { SessionSink } from "./agent-session.ts";
import { GuestBootError } from "./guest-boot-error.ts";

// A guest that says what it likes, over a real socket.
let directory = "";
let socketCount = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-link-"));
});

after(() => rm(directory, { recursive: true, force: true }));

const hello: AgentHelloMessage = {
  type: "AgentHello",
  protocolVersion: PROTOCOL_VERSION,
  agentVersion: "0",
  kernelRelease: "6",
};
const mount: MountMessage = {
  type: "Mount",
  root: {
    layered: { lower: { serial: "l", fsType: "erofs" }, upperSerial: "u", upperSizeMib: 0 },
    shared: null,
    disk: null,
  },
  tmpSizeMib: 1,
  programs: [],
};
const boot: BootMessage = { type: "Boot", hostname: "h", workdir: "", scripts: [] };
const request: ExecMessage = {
  type: "Exec",
  argv: ["x"],
  env: [],
  cwd: "/",
  user: "",
  tty: false,
  rows: 0,
  cols: 0,
  stdin: "pipe",
  rlimits: [],
};

const control = (stream: number, message: Message): Buffer =>
  encodeFrame(stream, FrameKind.control, encodeMessage(message));
const mounted = control(0, { type: "Mounted" });
const ready = control(0, { type: "Ready" });
const started = control(1, { type: "ExecStarted", pid: 7, sessionId: 0 });
const exited = control(1, { type: "ExecExited", code: 0, signal: 0 });
const output = (bytes: number, kind: FrameKind = FrameKind.stdout): Buffer =>
  encodeFrame(1, kind, Buffer.alloc(bytes, "x"));

interface Guest {
  readonly socket: Socket;
  readonly link: AgentLink;
  /** How the connection ended. */
  readonly lost: Promise<Error | null>;
  /** The supervisor's messages so far. */
  readonly told: Message[];
}

async function connect(t: TestContext, options: Omit<AgentLinkOptions, "lost"> = {}): Promise<Guest> {
  const path = join(directory, String(socketCount++));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const [[port], socket] = await Promise.all([
    once(server, "connection") as Promise<[Socket]>,
    Promise.resolve(createConnection(path)),
  ]);
  server.close();
  socket.on("error", () => undefined);
  const told: Message[] = [];
  const decoder = new FrameDecoder();
  socket.on("data", (chunk: Buffer) => {
    for (const { kind, payload } of decoder.push(chunk)) {
      if (kind === FrameKind.control) told.push(decodeMessage(payload, "supervisor→agent"));
    }
  });
  const lost = Promise.withResolvers<Error | null>();
  const link = new AgentLink(port, { lost: lost.resolve, ...options });
  t.after(() => {
    socket.destroy();
    port.destroy();
  });
  return { socket, link, lost: lost.promise, told };
}

/** What the sink of a command was told, in order. */
function recorder(): { sink: SessionSink; heard: string[]; lost: Promise<Error> } {
  const heard: string[] = [];
  const lost = Promise.withResolvers<Error>();
  const sink: SessionSink = {
    started: (pid) => heard.push(`started ${pid}`),
    output: (kind, payload) => heard.push(`output ${kind} ${payload.length}`),
    stdinCredit: (bytes) => heard.push(`credit ${bytes}`),
    stdinClosed: () => heard.push("stdin closed"),
    failed: ({ message }) => heard.push(`failed ${message}`),
    exited: ({ code }) => heard.push(`exited ${code}`),
    lost: (error) => {
      heard.push("lost");
      lost.resolve(error);
    },
  };
  return { sink, heard, lost: lost.promise };
}

async function breaksTheRules(lost: Promise<Error | null>, message: RegExp): Promise<void> {
  const error = await lost;
  assert.ok(error instanceof ProtocolError, String(error));
  assert.match(error.message, message);
}

test("an honest guest", async (t) => {
  const { socket, link, lost } = await connect(t);
  socket.write(control(0, hello));
  assert.equal((await link.hello).kernelRelease, "6");
  const introduced = link.introduce([mount, boot]);
  socket.write(mounted);
  socket.write(ready);
  await introduced;
  const { sink, heard } = recorder();
  const session = link.exec(request, sink);
  session.sendStdin(Buffer.from("in"));
  socket.write(Buffer.concat([started, output(5), output(6, FrameKind.stderr)]));
  socket.write(control(1, { type: "Credit", bytes: 2 }));
  socket.write(Buffer.concat([control(1, { type: "StdinClosed" }), exited]));
  // However many ask, one ping is under way at a time.
  const pongs = [link.ping(), link.ping(), link.ping()];
  socket.write(control(0, { type: "Pong", nonce: 1 }));
  await pongs[0];
  socket.write(control(0, { type: "Pong", nonce: 2 }));
  await Promise.all(pongs);
  // A second shutdown gets the first one's answer.
  const shutdowns = [link.shutdown(1000, 15), link.shutdown(0, 15)];
  socket.write(control(0, { type: "ShuttingDown" }));
  await Promise.all(shutdowns);
  assert.deepEqual(heard, ["started 7", "output 2 5", "output 3 6", "credit 2", "stdin closed", "exited 0"]);
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
  const introduced = link.introduce([mount, boot]);
  socket.write(control(0, { type: "BootFailed", step: "mount", errno: 22, message: "no" }));
  await assert.rejects(introduced, failedAs(22, "mount"));
  // Neither waits any more.
  socket.write(ready);
  await breaksTheRules(lost, /Ready that nobody asked for/);
});

test("a guest that has its root and cannot become the sandbox", async (t) => {
  const { socket, link } = await connect(t);
  const introduced = link.introduce([mount, boot]);
  socket.write(mounted);
  socket.write(control(0, { type: "BootFailed", step: "workdir", errno: 20, message: "no" }));
  await assert.rejects(introduced, (error) => error instanceof GuestBootError && error.step === "workdir");
});

test("a guest that was restored says no hello again, and is seeded before all else", async (t) => {
  const { socket, link, lost, told } = await connect(t, { restored: hello });
  assert.equal(await link.hello, hello);
  const from = Date.now();
  link.seed();
  link.setClock();
  const to = Date.now();
  const introduced = link.introduce([mount, boot]);
  // The answers need not wait for each other either.
  socket.write(Buffer.concat([mounted, ready]));
  await introduced;
  const pinged = link.ping();
  socket.write(control(0, { type: "Pong", nonce: 1 }));
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

test("a guest that someone else has introduced", async (t) => {
  for (const mounts of [true, false]) {
    const { socket, link, told, lost } = await connect(t, { restored: hello });
    socket.write(mounts ? Buffer.concat([mounted, ready]) : ready);
    await link.introduced(mounts);
    assert.deepEqual(told, []);
    socket.write(mounted);
    await breaksTheRules(lost, /Mounted that nobody asked for/);
  }
});

test("no two guests are given the same randomness", async (t) => {
  const { socket, link, told } = await connect(t, { restored: hello });
  for (let count = 0; count < 20; count++) link.seed();
  const pinged = link.ping();
  socket.write(control(0, { type: "Pong", nonce: 1 }));
  await pinged;
  const given = told.flatMap((message) =>
    message.type === "Seed" ? [Buffer.from(message.entropy).toString("hex")] : [],
  );
  assert.equal(new Set(given).size, 20);
});

test("a guest that is ready before it has its root", async (t) => {
  const { socket, link, lost } = await connect(t, { restored: hello });
  const broken = assert.rejects(link.introduce([mount, boot]), ProtocolError);
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
  "a pong for no ping": [control(0, { type: "Pong", nonce: 5 }), /Pong that nobody asked for/],
  "figures nobody wants": [
    control(0, { type: "Stats", memoryTotal: 1, memoryAvailable: 1, rootTotal: 1, rootFree: 1 }),
    /Stats that nobody asked for/,
  ],
  "a failed boot after the boot": [
    control(0, { type: "BootFailed", step: "", errno: 0, message: "" }),
    /BootFailed that nobody asked for/,
  ],
  "a stream that is not open": [
    control(9, { type: "ExecStarted", pid: 1, sessionId: 0 }),
    /stream 9, which is not open/,
  ],
  "output on a stream that is not open": [encodeFrame(9, FrameKind.stdout, Buffer.from("x")), /stream 9/],
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
    const introduced = link.introduce([mount, boot]);
    socket.write(Buffer.concat([mounted, ready]));
    await introduced;
    const ping = link.ping();
    socket.write(bytes);
    await breaksTheRules(lost, message);
    await assert.rejects(ping, ProtocolError);
  });
}

const onSession: Record<string, [Buffer[], RegExp]> = {
  "output before it started": [[output(1)], /has not started/],
  "an end before it started": [[exited], /had not started/],
  "started twice": [[started, started], /twice/],
  "failed after it started": [
    [started, control(1, { type: "ExecFailed", stage: "exec", errno: 2, message: "" })],
    /that it had started/,
  ],
  "ended twice": [[started, exited, exited], /stream 1, which is not open/],
  "output after its end": [[started, exited, output(1)], /stream 1, which is not open/],
  "more output than it has credit for": [
    [
      started,
      ...Array.from({ length: INITIAL_CREDIT / MAX_BULK_PAYLOAD }, () => output(MAX_BULK_PAYLOAD)),
      output(1),
    ],
    /1 bytes with credit for 0/,
  ],
  "credit for what was never sent": [[started, control(1, { type: "Credit", bytes: 1 })], /never sent/],
  "credit for nothing": [[started, control(1, { type: "Credit", bytes: 0 })], /never sent/],
  "stdin closed twice": [
    [started, control(1, { type: "StdinClosed" }), control(1, { type: "StdinClosed" })],
    /stdin twice/,
  ],
  "stdin from the guest": [[started, output(1, FrameKind.stdin)], /sent stdin/],
  "credit beyond any window": [[started, control(1, { type: "Credit", bytes: 4_000_000_000 })], /never sent/],
};

for (const [what, [frames, message]] of Object.entries(onSession)) {
  test(`a command: ${what}: the connection ends, every command is told`, async (t) => {
    const { socket, link, lost } = await connect(t);
    const first = recorder();
    const second = recorder();
    link.exec(request, first.sink);
    link.exec(request, second.sink);
    socket.write(Buffer.concat(frames));
    await breaksTheRules(lost, message);
    assert.ok((await second.lost) instanceof ProtocolError);
    const ends = first.heard.filter((heard) => /^(exited|failed|lost)/.test(heard));
    assert.equal(ends.length, 1, first.heard.join());
  });
}

test("credit that was given again can be used again, and no more", async (t) => {
  const { socket, link, lost } = await connect(t);
  const { sink, heard } = recorder();
  const session = link.exec(request, sink);
  socket.write(started);
  for (let window = 0; window < 3; window++) {
    for (let sent = 0; sent < INITIAL_CREDIT; sent += MAX_BULK_PAYLOAD)
      socket.write(output(MAX_BULK_PAYLOAD));
    const frames = ((window + 1) * INITIAL_CREDIT) / MAX_BULK_PAYLOAD;
    while (heard.length < 1 + frames) await new Promise(setImmediate);
    assert.equal(session.outputOwed, INITIAL_CREDIT);
    // More than is owed is not given.
    session.grantOutput(INITIAL_CREDIT * 2);
    assert.equal(session.outputOwed, 0);
  }
  socket.write(Buffer.concat([output(MAX_BULK_PAYLOAD), exited]));
  socket.end();
  assert.equal(await lost, null);
  assert.equal(heard.at(-1), "exited 0");
});

test("half a frame and then silence", async (t) => {
  const { socket, lost } = await connect(t, { frameTimeoutMs: 50 });
  socket.write(control(0, hello).subarray(0, 6));
  await breaksTheRules(lost, /part of a frame.* 50 ms/);
});

test("half a frame and then the end", async (t) => {
  const { socket, link, lost } = await connect(t);
  socket.end(control(0, hello).subarray(0, 12));
  await breaksTheRules(lost, /ended inside a frame/);
  await assert.rejects(link.hello, ProtocolError);
});

test("a guest that sends nothing but frames that are allowed, byte by byte", async (t) => {
  const { socket, link } = await connect(t, { frameTimeoutMs: 10_000 });
  for (const byte of control(0, hello)) socket.write(Buffer.from([byte]));
  assert.equal((await link.hello).agentVersion, "0");
});
