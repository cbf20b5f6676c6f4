import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeFrame, FrameKind } from "../../../src/protocol/frame.ts";
import { INITIAL_CREDIT, MAX_DATA_PAYLOAD } from "../../../src/protocol/generated/limits.ts";
import { PROTOCOL_VERSION } from "../../../src/protocol/generated/messages.ts";
import { control, hello, helloOf, HostilePackage, politeStart, ready, type Part } from "./hostile-support.ts";
import { processesGone, smallMemory, timeout } from "../lifecycle-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["template", "rust"];

// A guest whose agent breaks the rules, in a real machine. Its sandbox ends in order, as crashed; its users are told why.
const home = useTemporaryHome();
// What becomes of such a guest as a template: hostile-template.test.ts.
process.env["MSB_TEMPLATES"] = "off";
let hostile: HostilePackage;

before(async () => {
  hostile = await HostilePackage.build();
});

after(() => hostile[Symbol.asyncDispose]());

const mounted = control(0, { type: "Mounted" });
const started = control(1, { type: "ExecStarted", pid: 7, sessionId: 0 });
const exited = control(1, { type: "ExecExited", code: 0, signal: 0 });
const output = encodeFrame(1, FrameKind.data, Buffer.alloc(MAX_DATA_PAYLOAD, "x"));

const create = (name: string): Promise<Awaited<ReturnType<typeof hostile.api.Sandbox.create>>> =>
  hostile.api.Sandbox.create({ name, image: "localhost/base", memoryMib: smallMemory });

const atBoot: Record<string, [Part[], RegExp]> = {
  "speaks another version": [[{ bytes: helloOf(PROTOCOL_VERSION + 1) }], /protocol version/],
  "sends garbage": [[{ bytes: Buffer.alloc(4096, "garbage ") }], /frame length/],
  "is ready before it was told what to become": [[{ bytes: Buffer.concat([hello, ready, ready]) }], /Ready/],
  "is ready without a root": [
    [{ bytes: hello }, { after: "Mount", bytes: ready }],
    /Ready that nobody asked for/,
  ],
  "has two roots": [
    [{ bytes: hello }, { after: "Mount", bytes: Buffer.concat([mounted, mounted]) }],
    /Mounted that nobody asked for/,
  ],
};

for (const [what, [parts, message]] of Object.entries(atBoot)) {
  test(`a guest that ${what} at boot`, { timeout }, async () => {
    const { Sandbox, BootStartError } = hostile.api;
    await hostile.play(parts);
    // Its own words, and not those of a boot that takes too long.
    await assert.rejects(create("boot"), (error) => {
      assert.ok(error instanceof BootStartError, String(error));
      assert.match(error.message, message);
      assert.notEqual(error.hint, "");
      return true;
    });
    await processesGone(home);
    assert.equal((await Sandbox.get("boot")).status, "stopped");
    await Sandbox.remove("boot");
  });
}

/** What the guest answers to the first command, and what is said of it. */
const atWork: Record<string, [Buffer, RegExp]> = {
  "floods beyond its credit": [
    Buffer.concat([started, ...Array<Buffer>(INITIAL_CREDIT / MAX_DATA_PAYLOAD + 1).fill(output)]),
    /with credit for/,
  ],
  "answers on a stream that nobody opened": [
    control(77, { type: "ExecStarted", pid: 1, sessionId: 0 }),
    /stream 77, which is not open/,
  ],
  "answers on a stream of its own": [
    Buffer.concat([
      control(2, { type: "Events" }),
      control(2, { type: "ExecStarted", pid: 1, sessionId: 0 }),
    ]),
    /not of this service: ExecStarted on stream 2/,
  ],
  "sends data with its events": [
    Buffer.concat([control(2, { type: "Events" }), encodeFrame(2, FrameKind.data, Buffer.from("x"))]),
    /no data this way/,
  ],
  "tells of events on two streams": [
    Buffer.concat([control(2, { type: "Events" }), control(4, { type: "Events" })]),
    /Events that nobody asked for/,
  ],
  "ends a command twice": [Buffer.concat([started, exited, exited]), /ended a command twice/],
  "prints before it starts": [output, /has not started/],
  "sends a length beyond any frame": [Buffer.alloc(9, 0xff), /frame length/],
  "takes credit that was never earned": [
    Buffer.concat([started, control(1, { type: "Credit", bytes: INITIAL_CREDIT })]),
    /never earned/,
  ],
  "is ready a second time": [ready, /Ready that nobody asked for/],
  "answers a ping that nobody sent": [control(0, { type: "Pong", nonce: 99 }), /not the connection's: Pong/],
};

for (const [what, [answer, message]] of Object.entries(atWork)) {
  test(`a guest that ${what}`, { timeout }, async (t) => {
    const { Sandbox, ProtocolError, SandboxNotRunningError } = hostile.api;
    await hostile.play([...politeStart, { after: "Exec", bytes: answer }]);
    const sandbox = await create("work");
    t.after(async () => {
      await sandbox.kill();
      await sandbox.removePersisted();
    });
    const other = await (await Sandbox.get("work")).connect();
    const waiting = other.waitUntilStopped();
    const command = sandbox.execStream("anything");
    command.catch(() => undefined);
    const result = await waiting;
    // Only now is anything read: a reader grants the guest new credit all the time.
    const outcome = await command
      .then((handle) => handle.collect())
      .then(
        (output) => output,
        (error: unknown) => error,
      );
    if (what === "ends a command twice") assert.ok(!(outcome instanceof Error), String(outcome));
    else {
      assert.ok(outcome instanceof ProtocolError, String(outcome));
      assert.match(outcome.message, message);
    }
    assert.equal(result.status, "crashed");
    assert.match(result.source ?? "", message);
    await assert.rejects(other.exec("more"), SandboxNotRunningError);
    await processesGone(home);
    const handle = await Sandbox.get("work");
    assert.equal(handle.status, "crashed");
    assert.ok((await handle.logs({ sources: ["system"] })).some((entry) => message.test(entry.text())));
  });
}

test(
  "a guest that talks without end, within the rules, cannot keep its supervisor from its work",
  { timeout },
  async () => {
    const { Sandbox } = hostile.api;
    // The one message that a guest may send as often as it likes.
    const chatter = Buffer.concat(Array<Buffer>(500).fill(control(2, { type: "PowerOff" })));
    await hostile.play([
      ...politeStart,
      { bytes: control(2, { type: "Events" }) },
      { after: "Exec", bytes: chatter, how: "forever" },
    ]);
    const sandbox = await create("chatter");
    const stuck = sandbox.exec("anything");
    stuck.catch(() => undefined);
    const handle = await Sandbox.get("chatter");
    const connected = await handle.connect();
    const { memoryHostResidentBytes } = await connected.metrics();
    assert.ok((memoryHostResidentBytes ?? 0) > 0);
    // Who has to kill the supervisor too finds a crash.
    await handle.kill();
    await assert.rejects(stuck);
    assert.equal((await Sandbox.get("chatter")).status, "stopped");
    await processesGone(home);
    await handle.remove();
  },
);

test("a guest that never answers is still stopped in time", { timeout }, async () => {
  const { Sandbox } = hostile.api;
  await hostile.play(politeStart);
  const sandbox = await create("deaf");
  const begun = performance.now();
  await sandbox.stopWithTimeout(1000);
  const took = performance.now() - begun;
  assert.ok(took > 900, `${took} ms`);
  // Had the supervisor taken much longer, it would have been killed too, and the sandbox would be a crashed one.
  const result = await sandbox.waitUntilStopped();
  assert.equal(result.status, "stopped");
  assert.equal(result.signal, "SIGKILL");
  await processesGone(home);
  await Sandbox.remove("deaf");
});
