import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { RuntimeError, Sandbox } from "../../../src/index.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "../../../src/protocol/frame.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../../../src/protocol/generated/limits.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type ExecMessage,
  type Message,
} from "../../../src/protocol/generated/messages.ts";
import { processesGone, processOf, smallMemory, timeout } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// Clients that do not keep to the protocol lose their connection. The sandbox and its other clients do not notice.
const home = useTemporaryHome();
const name = "victim";
let sandbox: Sandbox;
let socketPath = "";

before(async () => {
  sandbox = await Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory });
  const state = await readFile(join(home, "sandboxes", name, "state.json"), "utf8");
  ({ socket: socketPath } = JSON.parse(state) as { socket: string });
});

after(() => sandbox.kill());

const control = (stream: number, message: Message): Buffer =>
  encodeFrame(stream, FrameKind.control, encodeMessage(message));
const hello = (sandboxId = sandbox.id, protocolVersion = PROTOCOL_VERSION): Buffer =>
  control(0, { type: "ClientHello", protocolVersion, sandboxId });
const request = (argv: string[], stdin: ExecMessage["stdin"] = "null"): ExecMessage => ({
  type: "Exec",
  argv,
  env: ["PATH=/bin:/usr/bin"],
  cwd: "/",
  user: "",
  tty: false,
  rows: 0,
  cols: 0,
  stdin,
  rlimits: [],
});

async function connect(): Promise<Socket> {
  const socket = createConnection(socketPath);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** `once` would fail at the error that comes before the end. */
async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

/** Sends bytes and reads until the supervisor closes the connection. @returns the messages it sent before */
async function untilDropped(what: string, bytes: Buffer): Promise<Message[]> {
  const socket = await connect();
  const decoder = new FrameDecoder();
  const messages: Message[] = [];
  socket.on("data", (chunk: Buffer) => {
    for (const { kind, payload } of decoder.push(chunk)) {
      if (kind === FrameKind.control) messages.push(decodeMessage(payload, "supervisor→client"));
    }
  });
  socket.write(bytes);
  const late = AbortSignal.timeout(60_000);
  await Promise.race([closed(socket), once(late, "abort")]);
  assert.ok(!late.aborted, `${what}: not dropped after ${JSON.stringify(messages)}`);
  return messages;
}

async function unharmed(): Promise<void> {
  assert.equal((await sandbox.exec("echo", ["well"])).stdout(), "well\n");
  assert.equal((await Sandbox.get(name)).status, "running");
}

test("strangers and those who break the rules are dropped", { timeout }, async () => {
  const greeted = (...frames: Buffer[]): Buffer => Buffer.concat([hello(), ...frames]);
  // The guest's pipe takes some of it and gives that much credit back.
  const tooMuch = Array.from({ length: (16 * INITIAL_CREDIT) / MAX_DATA_PAYLOAD }, () =>
    encodeFrame(1, FrameKind.data, Buffer.alloc(MAX_DATA_PAYLOAD)),
  );
  const cases: Record<string, Buffer> = {
    garbage: Buffer.alloc(4096, "garbage "),
    "an HTTP request": Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a length beyond any frame": Buffer.alloc(9, 0xff),
    "no hello": control(1, { type: "Kill" }),
    "a hello that is another's": control(0, { type: "Detach" }),
    "data before the hello": encodeFrame(1, FrameKind.data, Buffer.from("x")),
    "what only an agent sends": greeted(control(0, { type: "Ready" })),
    "what only a supervisor sends": greeted(control(1, { type: "Done" })),
    "stderr instead of stdin": greeted(
      control(1, request(["sleep", "999"], "pipe")),
      encodeFrame(1, FrameKind.extra, Buffer.from("x")),
    ),
    "data on a stream that nobody opened": greeted(encodeFrame(1, FrameKind.data, Buffer.from("x"))),
    "a message on a stream that nobody opened": greeted(control(1, { type: "Signal", signal: 9 })),
    "a stream of the supervisor's own": greeted(control(2, { type: "Touch" })),
    "a number that was used before": greeted(control(3, { type: "Touch" }), control(1, { type: "Touch" })),
    "data after its end": greeted(
      control(1, request(["sleep", "999"], "pipe")),
      control(1, { type: "End" }),
      encodeFrame(1, FrameKind.data, Buffer.from("x")),
    ),
    "credit for what it was never sent": greeted(
      control(1, request(["sleep", "999"])),
      control(1, { type: "Credit", bytes: 4_294_967_295 }),
    ),
    "the next item before there was one": greeted(
      control(1, { type: "WatchMetrics", intervalMs: 60_000 }),
      control(1, { type: "Next" }),
      control(1, { type: "Next" }),
    ),
    "a command on stream 0": greeted(control(0, request(["true"]))),
    "a stream that is in use": greeted(control(1, request(["sleep", "999"])), control(1, request(["true"]))),
    "a question on a command's stream": greeted(
      control(1, request(["sleep", "999"])),
      control(1, { type: "Touch" }),
    ),
    "more stdin than it has credit for": greeted(control(1, request(["sleep", "999"], "pipe")), ...tooMuch),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    const messages = await untilDropped(what, bytes);
    assert.ok(!messages.some(({ type }) => type === "Done"), what);
    await unharmed();
  }
  // Their commands went with them.
  await eventually("the end of their commands", async () =>
    (await sandbox.shell("ps | grep -c '[s]leep 999'")).stdout() === "0\n" ? true : null,
  );
});

test("a wrong sandbox and a wrong version are told so", { timeout }, async () => {
  const replaced = await untilDropped("wrong sandbox", hello("0123456789abcdef"));
  assert.deepEqual(
    replaced.map((message) => (message.type === "Failure" ? message.code : message.type)),
    ["sandboxReplaced"],
  );
  const [version] = await untilDropped("wrong version", hello(sandbox.id, PROTOCOL_VERSION + 1));
  assert.ok(version?.type === "Failure" && version.code === "protocol" && version.hint !== "");
  await unharmed();
});

test("half a frame, a silence, a sudden end harm nobody", { timeout }, async () => {
  const begun = performance.now();
  const silent = await connect();
  silent.resume();
  const half = await connect();
  half.write(hello().subarray(0, 7));
  const ended = await connect();
  ended.end(hello().subarray(0, 11));
  const gone = await connect();
  gone.write(hello());
  gone.destroy();
  await unharmed();
  half.destroy();
  // Who never says hello is not kept.
  await closed(silent);
  const took = performance.now() - begun;
  assert.ok(took > 9000, `${took} ms`);
  await unharmed();
});

test("requests that make no sense are answered, or ignored", { timeout }, async () => {
  const socket = await connect();
  const decoder = new FrameDecoder();
  const answers = new Map<number, string>();
  let wake = (): void => undefined;
  socket.on("data", (chunk: Buffer) => {
    for (const { stream, kind, payload } of decoder.push(chunk)) {
      if (kind !== FrameKind.control) continue;
      const { type } = decodeMessage(payload, "supervisor→client");
      if (type.startsWith("Exec") || type === "Failure") answers.set(stream, type);
    }
    wake();
  });
  socket.write(hello());
  const odd: ExecMessage[] = [
    request([]),
    request([""]),
    request(["a\0b"]),
    { ...request(["true"]), cwd: "" },
    { ...request(["true"]), env: ["no equals sign", "", "=", "\0"] },
    { ...request(["true"]), user: "\0:\0" },
    { ...request(["true"]), tty: true, rows: 0, cols: 65_535 },
    { ...request(["true"]), rlimits: [{ resource: 255, soft: 0n, hard: 2n ** 64n - 1n }] },
    { ...request(["true"]), rlimits: [{ resource: 7, soft: 5n, hard: 1n }] },
    request(["x".repeat(200_000)]),
    request(Array<string>(20_000).fill("x")),
  ];
  for (const [index, exec] of odd.entries()) socket.write(control(2 * index + 1, exec));
  // For a stream that has ended: these met its end on the way.
  const stray: Message[] = [
    { type: "Signal", signal: 255 },
    { type: "Resize", rows: 0, cols: 0 },
    { type: "Credit", bytes: 4_294_967_295 },
    { type: "End" },
    { type: "StopSending" },
    { type: "Release" },
    { type: "Next" },
    { type: "Failure", code: "runtime", message: "", hint: "", details: "" },
  ];
  while (!answers.has(1)) await new Promise<void>((resolve) => (wake = resolve));
  for (const message of stray) socket.write(control(1, message));
  socket.write(encodeFrame(1, FrameKind.data, Buffer.from("x")));
  while ([...answers.values()].filter((type) => type !== "ExecStarted").length < odd.length) {
    assert.equal(socket.closed, false, "dropped");
    await new Promise<void>((resolve) => (wake = resolve));
  }
  socket.destroy();
  await unharmed();
});

test(
  "of a flood of watches a few are kept, the others refused, and none costs its sandbox anything",
  { timeout },
  async () => {
    const socket = await connect();
    const decoder = new FrameDecoder();
    const answers = new Map<number, string>();
    let wake = (): void => undefined;
    socket.on("data", (chunk: Buffer) => {
      for (const { stream, kind, payload } of decoder.push(chunk)) {
        if (kind === FrameKind.control) answers.set(stream, decodeMessage(payload, "supervisor→client").type);
      }
      wake();
    });
    socket.write(hello());
    const flood = 2000;
    for (let n = 0; n < flood; n++) {
      socket.write(control(1 + 2 * n, { type: n % 2 === 0 ? "WatchState" : "WatchLogs" }));
    }
    while (answers.size < flood + 1) {
      assert.equal(socket.closed, false, "dropped");
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const count = (type: string): number => [...answers.values()].filter((answer) => answer === type).length;
    assert.deepEqual([count("StateChanged"), count("LogsChanged")], [32, 32]);
    assert.equal(count("Failure"), flood - 64);
    await unharmed();
    socket.destroy();
    await unharmed();
  },
);

test("a crowd of clients: the ones too many are refused", { timeout }, async () => {
  const sockets = await Promise.all(Array.from({ length: 300 }, connect));
  const greetings = sockets.map(async (socket) => {
    const first = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.write(hello());
    // A connection beyond any measure is closed without a word.
    const chunk = await Promise.race([first, closed(socket).then(() => null)]);
    const frame = chunk === null ? undefined : new FrameDecoder().push(chunk)[0];
    return frame === undefined ? "closed" : decodeMessage(frame.payload, "supervisor→client").type;
  });
  const answers = await Promise.all(greetings);
  const accepted = answers.filter((answer) => answer === "SupervisorHello").length;
  assert.ok(accepted > 100 && accepted < 128, `${accepted} accepted`);
  // The next ones are told so. How many come at once, beyond any measure, is a matter of timing; those are not listened to.
  const refused = (how: string): number => answers.filter((answer) => answer === how).length;
  assert.ok(refused("Failure") > 100, `${refused("Failure")} told`);
  assert.equal(refused("Failure") + refused("closed"), 300 - accepted);
  await assert.rejects(
    (await Sandbox.get(name)).connect(),
    (error) =>
      error instanceof RuntimeError && /128 clients already/.test(error.message) && error.hint !== "",
  );
  // Those who are in can go on; and there is room again once the crowd has gone.
  await unharmed();
  await Promise.all(
    sockets.map(async (socket) => {
      socket.destroy();
      await closed(socket);
    }),
  );
  const again = await (await Sandbox.get(name)).connect();
  assert.equal((await again.exec("echo", ["room"])).stdout(), "room\n");
});

test("a client that asks and never reads costs little and holds nothing up", { timeout }, async () => {
  const supervisor = await processOf(home, name, "supervisor");
  const resident = async (): Promise<number> =>
    Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${supervisor}/status`, "utf8"))?.[1]) * 1024;
  const before = await resident();
  const socket = await connect();
  socket.pause();
  socket.write(hello());
  socket.write(control(1, request(["cat", "/dev/zero"])));
  let next = 3;
  const pings = (): Buffer =>
    Buffer.concat(
      Array.from({ length: 10_000 }, (_, nonce) => control((next += 2), { type: "Ping", nonce })),
    );
  // Until the supervisor does not take any more either, though it takes what others ask.
  let refused = false;
  for (let round = 0; round < 60 && !refused; round++) {
    if (socket.write(pings())) continue;
    const drained = once(socket, "drain").then(() => false);
    const others = (async () => {
      for (let n = 0; n < 20; n++) await sandbox.exec("true");
      return true;
    })();
    refused = await Promise.race([drained, others]);
    await others;
  }
  assert.equal(refused, true, "the supervisor reads on though its answers pile up");
  const grown = (await resident()) - before;
  assert.ok(grown < 100 * 1024 * 1024, `grew by ${grown} bytes`);
  await unharmed();

  // Nor does it keep the supervisor from leaving.
  await sandbox.stop();
  await processesGone(home);
  assert.equal((await Sandbox.get(name)).status, "stopped");
  socket.destroy();
});
