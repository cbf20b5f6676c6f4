import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair, type Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fields, parseAnswer, requestOf, texts, type Answer } from "../../test/support/fuse-kernel.ts";
import { opcodes } from "./fuse/numbers.ts";
import { answer } from "./fuse/reply.ts";
import type { ServedMount, ServedPath } from "./options.ts";
import { ServedConnection } from "./served-connection.ts";
import { passedBytes, type ForwardedRequest } from "./worker-messages.ts";
import { readBody, writeBody } from "../../test/support/served-directory.ts";

const root = 1;
const plain = {
  kind: "path",
  isFile: false,
  readOnly: false,
  statVirtualization: "strict",
  hostPermissions: "private",
  owner: null,
  quotaBytes: null,
  quotaCountsAll: false,
  layer: null,
} as const;

interface Served {
  readonly relay: Duplex;
  readonly hosts: readonly string[];
  readonly outside: string;
  readonly ended: Promise<string | null>;
  /** Which of the directories are not served, and why. */
  readonly unserved: readonly (readonly [path: string, reason: string])[];
  /** Answers and notifications as they come. */
  next(): Promise<Answer>;
}

function serveDirectories(t: TestContext, changes: readonly Partial<ServedPath>[]): Served {
  const top = mkdtempSync(join(tmpdir(), "msb-connection-"));
  const outside = join(top, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
  const hosts = changes.map((_, index) => join(top, `host${index}`));
  for (const host of hosts) mkdirSync(host);
  const [relay, socket] = duplexPair();
  const ended = Promise.withResolvers<string | null>();
  const paths = changes.map((change, index) => ({ ...plain, path: hosts[index] ?? "", ...change }));
  const unserved: [string, string][] = [];
  new ServedConnection(socket, paths, {
    ended: ended.resolve,
    pass: () => undefined,
    unserved: (...each) => unserved.push(each),
  });
  t.after(() => {
    relay.destroy();
    rmSync(top, { recursive: true, force: true });
  });
  const messages = cut(relay);
  const next = async (): Promise<Answer> => {
    const { value, done } = await messages.next();
    assert.ok(done !== true);
    return value;
  };
  return { relay, hosts, outside, ended: ended.promise, unserved, next };
}

async function* cut(relay: Duplex): AsyncGenerator<Answer, undefined> {
  let held = Buffer.alloc(0);
  for await (const chunk of relay as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 8 && held.length >= 4 + held.readUInt32LE(4)) {
      const length = 4 + held.readUInt32LE(4);
      yield parseAnswer(held.subarray(0, length));
      held = held.subarray(length);
    }
  }
}

test("each message is answered on its own mount, however it is cut", async (t) => {
  const { relay, hosts, next } = serveDirectories(t, [{}, { readOnly: true }]);
  const [first = "", second = ""] = hosts;
  writeFileSync(join(first, "file"), "1");
  writeFileSync(join(second, "file"), "22");
  const all = Buffer.concat([0, 1, 0].map((mount) => requestOf("lookup", root, texts("file"), { mount })));
  for (const byte of all) relay.write(Buffer.from([byte]));
  const answers = [await next(), await next(), await next()];
  assert.deepEqual(
    answers.map(({ mount, body }) => [mount, Number(body.readBigUInt64LE(48))]),
    [
      [0, 1],
      [1, 2],
      [0, 1],
    ],
  );
  // Nodes of one mount are nothing in the other.
  const id = Number(answers[0]?.body.readBigUInt64LE(0));
  relay.write(requestOf("open", id + 1, fields([32, 0], [32, 0]), { mount: 1 }));
  assert.equal((await next()).errno, 116);
  relay.write(requestOf("lookup", root, texts("file"), { mount: 7 }));
  relay.write(requestOf("lookup", root, texts("none")));
  assert.deepEqual((await next()).body.readBigUInt64LE(0), 0n, "what is for no mount has no answer");
});

test("what cannot be served takes nothing else with it", async (t) => {
  const served = serveDirectories(t, [{ path: "/proc" }, {}, { path: "/no/such/directory" }]);
  const { relay, hosts, unserved, next } = served;
  writeFileSync(join(hosts[1] ?? "", "file"), "1");
  assert.deepEqual(
    unserved.map(([path]) => path),
    ["/proc", "/no/such/directory"],
  );
  assert.match(unserved[1]?.[1] ?? "", /ENOENT/);
  // The kernel asks this first; a FORGET has no answer.
  relay.write(requestOf("init", 0, fields([32, 7], [32, 36], [32, 0], [32, 0]), { mount: 0 }));
  relay.write(requestOf("forget", root, fields([64, 1]), { mount: 2 }));
  relay.write(requestOf("lookup", root, texts("version"), { mount: 2 }));
  relay.write(requestOf("lookup", root, texts("file"), { mount: 1 }));
  const answers = [await next(), await next(), await next()];
  assert.deepEqual(
    answers.map(({ mount, errno }) => [mount, errno]),
    [
      [0, 107],
      [2, 107],
      [1, 0],
    ],
  );
});

test("two mounts of one volume share its quota", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "msb-shared-quota-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const volume = { path, quotaBytes: 2 * 4096, quotaCountsAll: true };
  const { relay, next } = serveDirectories(t, [volume, volume, { quotaBytes: 4096 }]);
  const errnos: number[] = [];
  for (const [mount, name] of [
    [0, "one"],
    [1, "two"],
    [0, "three"],
    [1, "four"],
    [2, "own"],
  ] as const) {
    const body = Buffer.concat([fields([32, 0o755], [32, 0o22]), texts(name)]);
    relay.write(requestOf("mkdir", root, body, { mount }));
    let answer = await next();
    // News of what the other mount has done come between.
    while (answer.unique === 0n) answer = await next();
    errnos.push(answer.errno);
  }
  assert.deepEqual(errnos, [0, 0, 28, 28, 0]);
});

test("a message of a length that none has ends the mounts, and nothing else", async (t) => {
  for (const length of [0, 39, (1 << 20) + 4097, 0xffff_ffff]) {
    const { relay, ended } = serveDirectories(t, [{}]);
    const message = requestOf("lookup", root, texts("x"));
    message.writeUInt32LE(length, 4);
    relay.on("error", () => undefined);
    relay.write(message);
    assert.match((await ended) ?? "", /message of \d+ bytes/);
  }
});

test("a guest is told when the host changes what it knows", async (t) => {
  const { relay, hosts, next } = serveDirectories(t, [{}]);
  const [host = ""] = hosts;
  writeFileSync(join(host, "file"), "one");
  const lookup = async (name: string): Promise<bigint> => {
    relay.write(requestOf("lookup", root, texts(name)));
    for (;;) {
      const { unique, body } = await next();
      if (unique !== 0n) return body.readBigUInt64LE(0);
    }
  };
  const id = await lookup("file");
  await lookup("none");
  /** Until all of these were told, in whatever order. */
  const told = async (wanted: readonly string[]): Promise<void> => {
    const missing = new Set(wanted);
    while (missing.size > 0) {
      const { unique, errno, body } = await next();
      assert.equal(unique, 0n);
      // As an error it is negative; the code of a notification is not.
      const code = -errno;
      const name = body.subarray(16, -1).toString();
      missing.delete(code === 2 ? `node ${body.readBigUInt64LE(0)}` : `entry ${name}`);
    }
  };
  appendFileSync(join(host, "file"), " two");
  await told([`node ${id}`]);
  writeFileSync(join(host, "none"), "");
  await told(["entry none", `node ${root}`]);
  await lookup("file");
  writeFileSync(join(host, "other"), "");
  renameSync(join(host, "other"), join(host, "file"));
  await told(["entry file"]);
});

test("what the guest does itself is no news", async (t) => {
  const { relay, hosts, next } = serveDirectories(t, [{}]);
  const [host = ""] = hosts;
  const ask = async (...parameters: Parameters<typeof requestOf>): Promise<Answer> => {
    const message = requestOf(...parameters);
    relay.write(message);
    const answer = await next();
    assert.equal(answer.unique, message.readBigUInt64LE(12), "told of what it has done itself");
    return answer;
  };
  const create = Buffer.concat([fields([32, 2], [32, 0o644], [32, 0], [32, 0]), texts("made")]);
  const { body } = await ask("create", root, create);
  const [id, handle] = [Number(body.readBigUInt64LE(0)), Number(body.readBigUInt64LE(128))];
  await ask("getattr", id, fields([32, 0], [32, 0], [64, 0]));
  await ask("getattr", root, fields([32, 0], [32, 0], [64, 0]));
  await ask("rename", root, Buffer.concat([fields([64, root]), texts("made", "moved")]));
  await ask("getattr", root, fields([32, 0], [32, 0], [64, 0]));
  await ask("unlink", root, texts("moved"));
  await ask("getattr", root, fields([32, 0], [32, 0], [64, 0]));
  await ask("release", id, fields([64, handle], [32, 0], [32, 0], [64, 0]));
  // Something of the host's comes after all that; it is the first thing that is told.
  await ask("lookup", root, texts("news"));
  writeFileSync(join(host, "news"), "");
  for (;;) {
    const { errno: code, body: what } = await next();
    if (-code === 3) {
      assert.equal(what.subarray(16, -1).toString(), "news");
      break;
    }
    assert.equal(what.readBigUInt64LE(0), BigInt(root));
  }
});

/** Numbers that look random and are the same each time (xorshift32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("whatever a guest sends, nothing outside its directory is touched and the server goes on", async (t) => {
  const { relay, hosts, outside, next } = serveDirectories(t, [{}, { readOnly: true }]);
  const [host = "", readOnly = ""] = hosts;
  for (const directory of hosts) {
    mkdirSync(join(directory, "sub"));
    writeFileSync(join(directory, "sub/file"), "content");
  }
  const random = numbers(20_26);
  const names = ["file", "sub", "..", ".", "", "a/b", "../outside/secret", "x".repeat(300), "new", "\u0001"];
  const name = (): string => names[random(names.length)] ?? "";
  const operations = Object.keys(opcodes) as (keyof typeof opcodes)[];
  const bodies = [
    () => texts(name()),
    () => texts(name(), name()),
    () => Buffer.concat([fields([64, random(12)]), texts(name(), name())]),
    () => Buffer.concat([fields([64, random(12)], [32, random(4)], [32, 0]), texts(name(), name())]),
    () => Buffer.concat([fields([32, random(0o7777)], [32, 0o644], [32, 0], [32, 0]), texts(name())]),
    () => fields([32, random(8)], [32, random(8)], [64, random(8)]),
    () => readBody(random(8), random(100), random(5000)),
    () => writeBody(random(8), random(100), "data", random(8)),
    () => Buffer.from(Array.from({ length: random(200) }, () => random(256))),
    () => fields([32, 0xffff_ffff], [32, 0xffff_ffff], [64, 2 ** 52], [64, 2 ** 52], [32, 0xffff_ffff]),
  ];
  const messages = 4000;
  const sent = new Set<bigint>();
  let answers = 0;
  let last = -1n;
  const reading = (async () => {
    for (;;) {
      const { unique } = await next();
      if (unique === 0n) continue;
      answers++;
      assert.ok(sent.delete(unique), "an answer to nothing, or a second one");
      if (unique === last) return;
    }
  })();
  for (let each = 0; each < messages; each++) {
    const operation = operations[random(operations.length)] ?? "lookup";
    const body = bodies[random(bodies.length)]?.() ?? Buffer.alloc(0);
    const options = { mount: random(2), uid: random(2000), gid: random(2000) };
    const message = requestOf(operation, random(10), body, options);
    sent.add(message.readBigUInt64LE(12));
    relay.write(message);
  }
  const end = requestOf("statfs", root);
  last = end.readBigUInt64LE(12);
  sent.add(last);
  relay.write(end);
  await reading;
  assert.ok(answers > messages / 2, `${answers} answers`);
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
  assert.deepEqual(readdirSync(join(host, "..")).sort(), ["host0", "host1", "outside"]);
  assert.deepEqual(readdirSync(readOnly), ["sub"]);
  assert.equal(readFileSync(join(readOnly, "sub/file"), "utf8"), "content");
});

test("a guest that asks and does not listen is not asked on", async (t) => {
  const { relay, hosts } = serveDirectories(t, [{}]);
  writeFileSync(join(hosts[0] ?? "", "big"), Buffer.alloc(1 << 20));
  relay.write(requestOf("lookup", root, texts("big")));
  relay.write(requestOf("open", 2, fields([32, 0], [32, 0])));
  const ask = requestOf("read", 2, readBody(1, 0, 1 << 20));
  const before = process.memoryUsage().arrayBuffers;
  let asked = 0;
  // 2 GiB of answers, if it were.
  for (; asked < 2048; asked++) {
    if (relay.write(ask)) continue;
    for (let turn = 0; relay.writableNeedDrain && turn < 200; turn++) await setImmediate();
    if (relay.writableNeedDrain) break;
  }
  assert.ok(asked < 2048, "all questions were taken");
  const used = process.memoryUsage().arrayBuffers - before;
  assert.ok(used < 64 << 20, `${used} bytes are held`);
});

test("nor when all that it asks comes at once", async (t) => {
  const { relay, hosts, next } = serveDirectories(t, [{}]);
  writeFileSync(join(hosts[0] ?? "", "big"), Buffer.alloc(1 << 20));
  relay.write(requestOf("lookup", root, texts("big")));
  relay.write(requestOf("open", 2, fields([32, 0], [32, 0])));
  // 400 MiB of answers, if they were made.
  const questions = Array.from({ length: 400 }, () => requestOf("read", 2, readBody(1, 0, 1 << 20)));
  const before = process.memoryUsage().arrayBuffers;
  relay.write(Buffer.concat(questions));
  for (let turn = 0; turn < 200; turn++) await setImmediate();
  const used = process.memoryUsage().arrayBuffers - before;
  assert.ok(used < 64 << 20, `${used} bytes are held`);
  // Whoever reads then gets all of it, in order.
  await next();
  await next();
  for (const question of questions) {
    const { unique, body } = await next();
    assert.equal(unique, question.readBigUInt64LE(12));
    assert.equal(body.length, 1 << 20);
  }
});

test("what somebody else serves is passed on, no more of it than is taken, and answered as it comes", async (t) => {
  const top = mkdtempSync(join(tmpdir(), "msb-passed-"));
  writeFileSync(join(top, "file"), "1");
  const [relay, socket] = duplexPair();
  t.after(() => {
    relay.destroy();
    rmSync(top, { recursive: true, force: true });
  });
  const passed: ForwardedRequest[] = [];
  const mounts: readonly ServedMount[] = [
    { kind: "provider", guest: "/made", timeoutMs: 1000 },
    { ...plain, path: top },
  ];
  const listener = {
    ended: () => undefined,
    unserved: () => undefined,
    pass: (requests: readonly ForwardedRequest[]) => passed.push(...requests),
  };
  const connection = new ServedConnection(socket, mounts, listener);
  const messages = cut(relay);
  const asked = requestOf("lookup", root, texts("x"));
  relay.write(Buffer.concat([asked, requestOf("lookup", root, texts("file"), { mount: 1 })]));
  assert.equal((await messages.next()).value?.mount, 1, "the other one is answered meanwhile");
  assert.deepEqual(
    passed.map(({ mount, message }) => [mount, Buffer.from(message)]),
    [[0, asked.subarray(4)]],
  );
  assert.equal(passed[0]?.message.buffer.byteLength, asked.length - 4, "nothing else goes with it");

  const written = Promise.withResolvers<void>();
  connection.answer(
    Buffer.concat([Buffer.alloc(4), answer(0, asked.subarray(12, 20), 0, 2).subarray(4)]),
    () => written.resolve(),
  );
  const told = (await messages.next()).value;
  assert.deepEqual([told?.mount, told?.errno, told?.unique], [0, 2, asked.readBigUInt64LE(12)]);
  await written.promise;

  // A guest that floods is not read from while what it sent is not taken.
  let isRead = 0;
  const flood = requestOf("write", root, Buffer.alloc(1 << 20));
  for (let each = 0; each < 20; each++) relay.write(flood, () => isRead++);
  for (let each = 0; each < 200; each++) await setImmediate();
  assert.equal(passed.length, 1 + 4);
  assert.ok(isRead < 10, `${isRead} were read`);
  for (const { message } of passed.splice(0)) connection.taken(passedBytes(message));
  for (let each = 0; each < 200; each++) await setImmediate();
  assert.ok(passed.length >= 4, `${passed.length} more were passed on`);
});
