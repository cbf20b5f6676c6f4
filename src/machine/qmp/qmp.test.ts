import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { commandLine, QmpClient, QmpError, type QmpEvent } from "./qmp.ts";
import { openingLines } from "../memory/save-restore.ts";
import { findQemu } from "../qemu/qemu-binary.ts";

const timeout = 120_000;

/** A real QEMU without a machine, and a client of its monitor. */
async function startMonitor(t: TestContext): Promise<{ qmp: QmpClient; ended: Promise<unknown> }> {
  const { path } = await findQemu();
  const child = spawn(
    path,
    [
      "-M",
      "none",
      "-S",
      "-nodefaults",
      "-display",
      "none",
      "-chardev",
      "socket,id=q,fd=3",
      "-mon",
      "chardev=q,mode=control",
    ],
    { stdio: ["ignore", "inherit", "inherit", "pipe"] },
  );
  t.after(() => child.kill("SIGKILL"));
  const stream = child.stdio[3];
  assert.ok(stream instanceof Duplex);
  return { qmp: new QmpClient(stream), ended: once(child, "exit") };
}

/** Two ends of a socket, for a peer that QEMU is not. */
async function socketPair(t: TestContext): Promise<[Socket, Socket]> {
  const directory = await mkdtemp(join(tmpdir(), "msb-qmp-"));
  const server = createServer();
  server.listen(join(directory, "s"));
  await once(server, "listening");
  const near = connect(join(directory, "s"));
  const [far] = (await once(server, "connection")) as [Socket];
  t.after(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });
  return [near, far];
}

test("negotiates, answers, reports errors and events, and ends with QEMU", { timeout }, async (t) => {
  const { qmp, ended } = await startMonitor(t);
  const events: QmpEvent[] = [];
  qmp.events.on("event", (event) => events.push(event));
  await qmp.negotiate();

  const [status, version] = await Promise.all([qmp.execute("query-status"), qmp.execute("query-version")]);
  assert.equal((status as { running: boolean }).running, false);
  assert.equal(typeof (version as { qemu: { major: number } }).qemu.major, "number");

  await assert.rejects(qmp.execute("no-such-command"), (error) => {
    assert.ok(error instanceof QmpError);
    assert.equal(error.qmpClass, "CommandNotFound");
    assert.match(error.message, /no-such-command/);
    return true;
  });

  // The longest answer QEMU gives is within the limit.
  assert.ok(Array.isArray(await qmp.execute("query-qmp-schema")));

  await qmp.execute("quit");
  await ended;
  await qmp.closed;
  assert.deepEqual(
    events.filter(({ name }) => name === "SHUTDOWN").map(({ data }) => data["reason"]),
    ["host-qmp-quit"],
  );
  await assert.rejects(qmp.execute("query-status"), QmpError);
});

test("commands need not wait for the greeting", { timeout }, async (t) => {
  const { qmp } = await startMonitor(t);
  const answers = await Promise.all([
    qmp.negotiate(),
    qmp.execute("query-name"),
    qmp.execute("query-status"),
    qmp.execute("no-such-command").catch((error: unknown) => error),
  ]);
  assert.equal((answers[2] as { running: boolean }).running, false);
  assert.ok(answers[3] instanceof QmpError);
  await qmp.execute("quit");
});

test("commands without an answer fail when QEMU is killed", { timeout }, async (t) => {
  const [near, far] = await socketPair(t);
  const qmp = new QmpClient(near);
  far.write('{"QMP": {}}\r\n');
  const negotiation = qmp.negotiate();
  far.once("data", () => far.destroy());
  await assert.rejects(negotiation, /closed its QMP connection|failed/);
});

test("a greeting that never comes ends with the connection", { timeout }, async (t) => {
  const [near, far] = await socketPair(t);
  const qmp = new QmpClient(near);
  far.end();
  await assert.rejects(qmp.negotiate(), QmpError);
});

test("messages cut anywhere and several in one chunk are understood", { timeout }, async (t) => {
  const [near, far] = await socketPair(t);
  const qmp = new QmpClient(near);
  const seen: unknown[] = [];
  const both = new Promise<void>((resolve) => {
    qmp.events.on("event", ({ data }) => {
      seen.push(data["text"]);
      if (seen.length === 2) resolve();
    });
  });
  const bytes = Buffer.from(
    '{"event": "A", "data": {"text": "grün"}}\n\n{"event": "B", "data": {"text": "2"}}\r\n',
  );
  const umlaut = bytes.indexOf(0xc3) + 1;
  far.setNoDelay(true);
  far.write(bytes.subarray(0, umlaut));
  await once(near, "data");
  far.write(bytes.subarray(umlaut));
  await both;
  assert.deepEqual(seen, ["grün", "2"]);
});

test("a line without an end is cut off, and garbage ends the connection", { timeout }, async (t) => {
  for (const [bytes, expected] of [
    [Buffer.alloc(2 * 1024 * 1024, "x"), /longer than/],
    [Buffer.from("no json\n"), /not a JSON object/],
    [Buffer.from("[1]\n"), /not a JSON object/],
  ] as const) {
    const [near, far] = await socketPair(t);
    far.on("error", () => undefined);
    const qmp = new QmpClient(near);
    far.write(bytes);
    await assert.rejects(qmp.negotiate(), expected);
    await qmp.closed;
    assert.equal(near.destroyed, true);
  }
});

test(
  "what was written before by someone else is asked for without being written again",
  { timeout },
  async (t) => {
    const [near, far] = await socketPair(t);
    const opening = openingLines();
    assert.deepEqual(
      opening
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { execute: string }).execute),
      [
        "qmp_capabilities",
        "migrate-set-capabilities",
        "migrate-set-parameters",
        "migrate-incoming",
        "query-status",
      ],
    );
    const qmp = new QmpClient(near, 1);
    const heard = once(far, "data");
    far.write(`{"QMP":{}}\n{"return":{},"id":1}\n`);
    await qmp.negotiate();
    const answer = qmp.execute("query-name");
    assert.equal(String(await heard), commandLine(2, ["query-name"]));
    far.write(`{"return":{"name":"it"},"id":2}\n`);
    assert.deepEqual(await answer, { name: "it" });
  },
);
