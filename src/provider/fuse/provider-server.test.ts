import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { fields, requestOf, texts } from "../../../test/support/fuse-kernel.ts";
import { getattrBody, ProvidedMount } from "../../../test/support/provided-mount.ts";
import { entryIn, readBody, writeBody } from "../../../test/support/served-directory.ts";
import { errno, setattrFlags as valid } from "../../file-server/fuse/numbers.ts";
import { SandboxFsError } from "../../errors/index.ts";
import type { FileProvider, ProvidedStat } from "../file-provider.ts";
import { memory } from "../made/memory.ts";
import type { ProviderServerOptions } from "./provider-server.ts";

const root = 1;
const notEmpty = 39;

function mounted(
  t: TestContext,
  files: FileProvider,
  options: Partial<ProviderServerOptions> = {},
): ProvidedMount {
  const mount = new ProvidedMount(files, options);
  t.after(() => {
    mount[Symbol.dispose]();
  });
  return mount;
}

const missing = (path: string): Error => Object.assign(new Error(path), { code: "ENOENT" });

/** One file, `/file`, of which everything may be said. */
function fileThat(said: {
  stat?: (path: string) => unknown;
  list?: () => unknown;
  read?: (offset: number, length: number) => unknown;
}): FileProvider {
  const plain = async (path: string): Promise<ProvidedStat> => {
    if (path === "/") return { kind: "directory" };
    if (path === "/file") return { kind: "file", size: 100 };
    throw missing(path);
  };
  return {
    stat: (path: string) =>
      (path === "/" ? plain(path) : (said.stat ?? plain)(path)) as Promise<ProvidedStat>,
    list: (() => (said.list ?? (() => []))()) as FileProvider["list"],
    read: ((_path: string, offset: number, length: number) =>
      (said.read ?? (() => new Uint8Array(0)))(offset, length)) as FileProvider["read"],
  };
}

test("files are made, written, read, renamed and removed", async (t) => {
  const files = memory();
  const guest = mounted(t, files);
  const { id, handle } = await guest.create(root, "new", { uid: 7, gid: 8, mode: 0o640 });
  assert.equal((await guest.write(id, handle, "hello world")).errno, 0);
  const { uid, gid, mode, size } = await files.stat("/new");
  assert.deepEqual({ uid, gid, mode, size }, { uid: 7, gid: 8, mode: 0o640, size: 11 });
  assert.equal(await guest.read(id, handle, 6, 3), "wor");
  assert.equal(await guest.read(id, handle, 100), "");
  await guest.must("fsync", id, fields([64, handle], [32, 1], [32, 0]));
  await guest.release(id, handle);

  const { id: directory } = await guest.mkdir(root, "into");
  assert.equal((await guest.rename(root, "new", directory, "moved")).errno, 0);
  assert.equal((await guest.lookup(root, "new")).id, 0);
  assert.equal((await guest.lookup(directory, "moved")).id, id, "it is the same file");
  assert.equal(await guest.read(id, await guest.open(id)), "hello world");
  assert.equal((await guest.ask("rmdir", root, texts("into"))).errno, notEmpty);
  assert.equal((await guest.rename(root, "into", directory, "itself")).errno, errno.inval);
  await guest.must("unlink", directory, texts("moved"));
  await guest.must("rmdir", root, texts("into"));
  assert.deepEqual(await guest.list(root), [".", ".."]);
  const made = await guest.must("symlink", root, texts("link", "../../etc/passwd"));
  assert.equal((await guest.must("readlink", entryIn(made).id)).toString(), "../../etc/passwd");
  assert.deepEqual(guest.failures, []);
  assert.equal(guest.consumed, guest.sent);
});

test("names are text: what is no UTF-8 is not there and cannot be made", async (t) => {
  const guest = mounted(t, memory());
  await guest.create(root, "grün 😀");
  assert.deepEqual(await guest.list(root, true), [".", "..", "grün 😀"]);
  assert.equal((await guest.lookup(root, Buffer.from([0xff]))).id, 0);
  const head = fields([32, 0o755], [32, 0]);
  const bad = Buffer.concat([head, texts(Buffer.from([0xff]))]);
  assert.equal((await guest.ask("mkdir", root, bad)).errno, errno.ilseq);
  for (const name of ["..", ".", "a/b", ""]) {
    assert.equal(
      (await guest.ask("mkdir", root, Buffer.concat([head, texts(name)]))).errno,
      errno.inval,
      name,
    );
    assert.equal((await guest.ask("lookup", root, texts(name))).errno, errno.inval, name);
  }
  const long = Buffer.concat([head, texts("x".repeat(256))]);
  assert.equal((await guest.ask("mkdir", root, long)).errno, errno.nametoolong);
});

test("attributes are changed, and an owner of all files is not", async (t) => {
  const files = memory({ files: { "/file": "0123456789" } });
  const guest = mounted(t, files);
  const { id } = await guest.lookup(root, "file");
  const change = { size: 4, mode: 0o4711, uid: 5, gid: 6 };
  const what = valid.size | valid.mode | valid.uid | valid.gid | valid.mtime;
  assert.equal((await guest.setattr(id, what, change)).errno, 0);
  const { size, mode, uid, gid, mtimeMs } = await files.stat("/file");
  assert.deepEqual({ size, mode, uid, gid }, { ...change });
  assert.equal(mtimeMs, 1_000_000_001_006);

  const owned = mounted(t, files, { owner: { uid: 1000, gid: 1001 } });
  const seen = await owned.lookup(root, "file");
  assert.deepEqual([seen.uid, seen.gid], [1000, 1001]);
  assert.equal((await owned.setattr(seen.id, valid.uid | valid.gid, { uid: 9, gid: 9 })).errno, 0);
  assert.equal((await files.stat("/file")).uid, 5);
});

test("a file that is removed or replaced while it is open is as before for who has it open", async (t) => {
  const files = memory();
  const guest = mounted(t, files);
  const { id, handle } = await guest.create(root, "gone");
  await guest.write(id, handle, "still here");
  await guest.must("unlink", root, texts("gone"));
  assert.deepEqual(await guest.list(root), [".", ".."], "nobody sees where it is kept");
  assert.equal(await guest.read(id, handle), "still here");
  assert.equal((await guest.attributes(id)).size, 10);
  assert.equal((await guest.setattr(id, valid.size, { size: 5 })).errno, 0);
  await guest.release(id, handle);
  assert.deepEqual(await files.list("/"), []);

  const [old, fresh] = [await guest.create(root, "old"), await guest.create(root, "fresh")];
  await guest.write(old.id, old.handle, "old");
  await guest.write(fresh.id, fresh.handle, "fresh");
  assert.equal((await guest.rename(root, "fresh", root, "old")).errno, 0);
  assert.equal(await guest.read(old.id, old.handle), "old");
  assert.equal(await guest.read(fresh.id, fresh.handle), "fresh");
  assert.equal((await guest.lookup(root, "old")).id, fresh.id);
  await guest.release(old.id, old.handle);
  assert.deepEqual(
    (await files.list("/")).map(({ name }) => name),
    ["old"],
  );

  // A mount that ends leaves nothing of it.
  await guest.must("unlink", root, texts("old"));
  assert.equal((await files.list("/")).length, 1);
  guest.server.close();
  await setImmediate();
  assert.deepEqual(await files.list("/"), []);
});

test("a rename that fails leaves the open file that it would have replaced", async (t) => {
  const files = memory();
  const failing: FileProvider = Object.assign(Object.create(files) as FileProvider, {
    ...{ stat: files.stat.bind(files), list: files.list.bind(files), read: files.read.bind(files) },
    ...{ create: files.create.bind(files), write: files.write.bind(files), remove: files.remove.bind(files) },
    rename: async (from: string, to: string) => {
      if (from === "/new") throw Object.assign(new Error("full"), { code: "ENOSPC" });
      await files.rename(from, to);
    },
  });
  const guest = mounted(t, failing);
  const old = await guest.create(root, "old");
  await guest.write(old.id, old.handle, "kept");
  await guest.create(root, "new");
  assert.equal((await guest.rename(root, "new", root, "old")).errno, errno.nospc);
  assert.equal(await guest.read(old.id, old.handle), "kept");
  assert.equal((await guest.lookup(root, "old")).id, old.id);
});

test("a rename that takes too long leaves the open file too, also when the sandbox ends then", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const files = memory({ files: { "/new": "new", "/old": "kept" } });
  const begun = Promise.withResolvers<undefined>();
  const ended = Promise.withResolvers<undefined>();
  const stalling: FileProvider = Object.assign(Object.create(files) as FileProvider, {
    ...{ stat: files.stat.bind(files), list: files.list.bind(files), read: files.read.bind(files) },
    remove: files.remove.bind(files),
    rename: async (from: string, to: string, { signal }: { signal: AbortSignal }) => {
      signal.throwIfAborted();
      if (from === "/new") {
        begun.resolve(undefined);
        await new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            reject(signal.reason as Error);
          });
        });
      }
      await files.rename(from, to);
      if (to === "/old") ended.resolve(undefined);
    },
  });
  const guest = mounted(t, stalling, { timeoutMs: 5_000 });
  const { id } = await guest.lookup(root, "old");
  const handle = await guest.open(id);
  const answer = guest.rename(root, "new", root, "old");
  await begun.promise;
  t.mock.timers.tick(5_000);
  assert.equal((await answer).errno, errno.timedout);
  await ended.promise;
  await setImmediate();
  assert.equal((await guest.lookup(root, "old")).id, id);
  assert.equal(await guest.read(id, handle), "kept");
  guest.server.close();
  await setImmediate();
  assert.deepEqual((await files.list("/")).map(({ name }) => name).toSorted(), ["new", "old"]);
});

test("what a provider does not have is what a Linux user expects", async (t) => {
  const reading = mounted(t, fileThat({}), { readOnly: true });
  const { id } = await reading.lookup(root, "file");
  const head = fields([32, 2], [32, 0o644], [32, 0], [32, 0]);
  const calls = [
    ["create", root, Buffer.concat([head, texts("new")])],
    ["mkdir", root, Buffer.concat([fields([32, 0o755], [32, 0]), texts("new")])],
    ["unlink", root, texts("file")],
    ["rmdir", root, texts("file")],
    ["symlink", root, texts("new", "target")],
    ["rename", root, Buffer.concat([fields([64, root]), texts("file", "other")])],
    ["open", id, fields([32, 1], [32, 0])],
  ] as const;
  for (const [operation, node, body] of calls)
    assert.equal((await reading.ask(operation, node, body)).errno, errno.rofs, operation);
  assert.equal((await reading.setattr(id, valid.mode, { mode: 1 })).errno, errno.rofs);

  const writing = mounted(t, { ...fileThat({}), write: async () => undefined });
  const known = (await writing.lookup(root, "file")).id;
  for (const [operation, , body] of calls.slice(0, 6))
    assert.equal((await writing.ask(operation, root, body)).errno, errno.perm, operation);
  assert.equal((await writing.setattr(known, valid.mode, { mode: 1 })).errno, errno.perm);
  const handle = await writing.open(known, 1);
  assert.equal((await writing.write(known, handle, "x")).errno, 0);
  const link = Buffer.concat([fields([64, known]), texts("hard")]);
  assert.equal((await writing.ask("link", root, link)).errno, errno.perm);
  assert.equal((await writing.ask("getxattr", known, Buffer.alloc(8))).errno, errno.nosys);
  // It does not know, and need not.
  await writing.must("statfs", root);
  await writing.must("fsync", known, fields([64, handle], [32, 0], [32, 0]));
  assert.deepEqual([...reading.failures, ...writing.failures], []);
});

test("what is thrown is the caller's error, and told where it is none of a file system", async (t) => {
  const ours = new SandboxFsError(
    "no",
    { operation: "x", path: "/", errno: null, errnoName: null },
    { cause: Object.assign(new Error("inner"), { code: "EDQUOT" }) },
  );
  const trap = new Proxy(new Error("trap"), {
    get: () => {
      throw new Error("got");
    },
  });
  const rejecting = (error: unknown) => async (): Promise<never> => {
    throw error;
  };
  const cases: readonly (readonly [string, () => unknown, number, boolean])[] = [
    ["a system error", rejecting(Object.assign(new Error("no"), { code: "EACCES" })), errno.acces, false],
    ["the cause's", rejecting(ours), 122, false],
    ["never", rejecting(Object.assign(new Error("no"), { code: "ENOSYS" })), errno.opnotsupp, false],
    ["another error", rejecting(new TypeError("mistake")), errno.io, true],
    ["no error", rejecting("text"), errno.io, true],
    ["nothing", rejecting(undefined), errno.io, true],
    ["what throws itself", rejecting(trap), errno.io, true],
    [
      "at once",
      () => {
        throw new RangeError("sync");
      },
      errno.io,
      true,
    ],
  ];
  for (const [what, read, number, isTold] of cases) {
    const guest = mounted(t, fileThat({ read }));
    const { id } = await guest.lookup(root, "file");
    const handle = await guest.open(id);
    assert.equal((await guest.ask("read", id, readBody(handle, 0, 10))).errno, number, what);
    assert.equal(guest.failures.length, isTold ? 1 : 0, what);
    if (isTold) {
      const { operation, path, mount } = guest.failures[0] ?? {};
      assert.deepEqual({ operation, path, mount }, { operation: "read", path: "/file", mount: "/made" });
    }
    assert.equal((await guest.attributes(id)).size, 100, "everything else goes on");
  }
});

test("what cannot be is the caller's error, and told", async (t) => {
  const stats: unknown[] = [
    ...[undefined, null, 5, "file", {}, { kind: "device" }],
    ...[-1, NaN, Infinity, 1.5, 2 ** 53, "5", null].map((size) => ({ kind: "file", size })),
    ...[-1, 0o10000, NaN].map((mode) => ({ kind: "file", mode })),
    ...[-1, 2 ** 32 - 1].map((uid) => ({ kind: "file", uid })),
    ...[NaN, Infinity, 1e300, new Date()].map((mtimeMs) => ({ kind: "file", mtimeMs })),
    ...[0, -5, 1.5].map((id) => ({ kind: "file", id })),
  ];
  for (const stat of stats) {
    const guest = mounted(t, fileThat({ stat: () => stat }));
    assert.equal((await guest.ask("lookup", root, texts("file"))).errno, errno.io, JSON.stringify(stat));
    assert.equal(guest.failures.length, 1, JSON.stringify(stat));
  }
  const reads: unknown[] = [new Uint8Array(11), undefined, "text", [1], { length: 3 }, new Uint16Array(2)];
  for (const bytes of reads) {
    const guest = mounted(t, fileThat({ read: () => bytes }));
    const { id } = await guest.lookup(root, "file");
    const answer = await guest.ask("read", id, readBody(await guest.open(id), 0, 10));
    assert.equal(answer.errno, errno.io);
    assert.equal(guest.failures.length, 1);
  }
  const lists: unknown[] = [
    ...[undefined, {}, new Set([{ name: "a" }])],
    new Array(1_000_001).fill({ name: "a" }),
  ];
  for (const list of lists) {
    const guest = mounted(t, fileThat({ list: () => list }));
    const handle = Number((await guest.must("opendir", root, fields([32, 0], [32, 0]))).readBigUInt64LE(0));
    assert.equal((await guest.ask("readdir", root, readBody(handle, 0, 4096))).errno, errno.io);
    assert.equal(guest.failures.length, 1);
  }
  const links: unknown[] = [undefined, "", "a\0b", "x".repeat(4096), 5];
  for (const target of links) {
    const files = fileThat({ stat: async () => ({ kind: "symlink" }) });
    const guest = mounted(t, { ...files, readLink: async () => target as string });
    const { id } = await guest.lookup(root, "file");
    assert.equal((await guest.ask("readlink", id)).errno, errno.io);
    assert.equal(guest.failures.length, 1);
  }
});

test("an entry that cannot be keeps nobody from the others, and is told", async (t) => {
  const bad: readonly unknown[] = [
    ...["a", null, { name: "good" }],
    ...["a/b", "", ".", "..", "a\0b", "x".repeat(256), "\ud800", 5, undefined].map((name) => ({ name })),
  ];
  for (const entry of bad) {
    const list = (): unknown => [{ name: "good" }, entry, { name: "last" }];
    const guest = mounted(t, fileThat({ list }));
    assert.deepEqual(await guest.list(root), [".", "..", "good", "last"]);
    assert.equal(guest.failures.length, 1, JSON.stringify(entry));
  }
  const list = (): unknown => [{ name: "file", stat: { kind: "file", size: -1 } }, { name: "last" }];
  const guest = mounted(t, fileThat({ list }));
  assert.deepEqual(await guest.list(root, true), [".", "..", "file", "last"]);
  assert.match(guest.failures[0]?.message ?? "", /size is -1/);
});

test("a guest cannot give a file what it could not be told of any more", async (t) => {
  const files = memory();
  const guest = mounted(t, files);
  const { id, handle } = await guest.create(root, "x");
  const changes = [
    [valid.size, { size: 2 ** 53 }, errno.fbig],
    [valid.size | valid.uid, { size: 5, uid: 0xffff_ffff }, errno.inval],
    [valid.gid, { gid: 0xffff_ffff }, errno.inval],
    [valid.mtime, { mtime: 9_000_000_000_000 }, errno.inval],
    [valid.atime, { atime: 9_000_000_000_000 }, errno.inval],
  ] as const;
  for (const [what, change, number] of changes) {
    assert.equal((await guest.setattr(id, what, change)).errno, number, JSON.stringify(change));
    assert.equal((await guest.attributes(id)).size, 0);
  }
  assert.equal((await guest.write(id, handle, "xy", 2 ** 53 - 2)).errno, errno.fbig);
  const head = Buffer.concat([fields([32, 0o755], [32, 0]), texts("d")]);
  assert.equal((await guest.ask("mkdir", root, head, { uid: 0xffff_ffff })).errno, errno.inval);
  assert.deepEqual(await guest.list(root, true), [".", "..", "x"]);
  assert.deepEqual(guest.failures, []);
});

test("a file that has become another one is another one", async (t) => {
  let now: ProvidedStat = { kind: "file", size: 1, id: 10 };
  const guest = mounted(t, fileThat({ stat: async () => now }));
  const { id } = await guest.lookup(root, "file");
  now = { kind: "directory", id: 10 };
  assert.equal((await guest.ask("getattr", id, getattrBody)).errno, errno.stale);
  const directory = await guest.lookup(root, "file");
  assert.notEqual(directory.id, id);
  now = { kind: "directory", id: 11 };
  assert.equal((await guest.ask("getattr", directory.id, getattrBody)).errno, errno.stale);
  assert.notEqual((await guest.lookup(root, "file")).id, directory.id);
});

test("a call that hangs is answered in time, aborted, and late answers are of no effect", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const late = Promise.withResolvers<ProvidedStat>();
  const signals: AbortSignal[] = [];
  const files: FileProvider = {
    ...fileThat({}),
    stat: (path, { signal }) => {
      if (path === "/") return Promise.resolve({ kind: "directory" });
      signals.push(signal);
      return late.promise;
    },
  };
  const guest = mounted(t, files, { timeoutMs: 5_000 });
  const answer = guest.ask("lookup", root, texts("file"));
  await guest.attributes(root);
  t.mock.timers.tick(4_999);
  await setImmediate();
  assert.equal(signals[0]?.aborted, false);
  t.mock.timers.tick(1);
  assert.equal((await answer).errno, errno.timedout);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true],
  );
  assert.equal(guest.failures.length, 1);
  assert.match(guest.failures[0]?.message ?? "", /within 5000 ms/);
  late.resolve({ kind: "file" });
  await setImmediate();
  assert.equal(guest.server.size, 1, "the kernel was not told of it");
  assert.deepEqual(guest.unexpected, []);
  assert.equal(guest.consumed, guest.sent);
});

test("an interrupted call has a moment to end, and its caller gets EINTR then", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const guest = mounted(t, fileThat({ stat: () => new Promise(() => undefined) }));
  const request = requestOf("lookup", root, texts("file"));
  const answer = guest.answerTo(request);
  guest.raw(requestOf("interrupt", 0, request.subarray(12, 20)));
  t.mock.timers.tick(999);
  await guest.attributes(root);
  t.mock.timers.tick(1);
  assert.equal((await answer).errno, errno.intr);
});

test("a caller that gets signals again and again waits no longer for it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const timeoutMs of [60_000, 500]) {
    const guest = mounted(t, fileThat({ stat: () => new Promise(() => undefined) }), { timeoutMs });
    const request = requestOf("lookup", root, texts("file"));
    const answer = guest.answerTo(request);
    const interrupt = (): void => {
      guest.raw(requestOf("interrupt", 0, request.subarray(12, 20)));
    };
    for (let passed = 0; passed < Math.min(timeoutMs, 1_000); passed += 100) {
      interrupt();
      t.mock.timers.tick(100);
    }
    // Whoever were still waiting would get the other one.
    guest.server.receive(requestOf("getattr", root, getattrBody));
    await setImmediate();
    const late = Promise.resolve({ errno: -1 });
    assert.equal((await Promise.race([answer, late])).errno, timeoutMs > 1_000 ? errno.intr : errno.timedout);
  }
});

test("what goes on is counted until the provider is done with it, whatever was answered", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const under: ((stat: ProvidedStat) => void)[] = [];
  const guest = mounted(t, fileThat({ stat: () => new Promise((resolve) => under.push(resolve)) }), {
    timeoutMs: 5_000,
  });
  const { size } = guest.server;
  const asked = Array.from({ length: 300 }, () => guest.ask("lookup", root, texts("file")));
  await setImmediate();
  t.mock.timers.tick(5_000);
  assert.ok((await Promise.all(asked)).every((answer) => answer.errno === errno.timedout));
  const more = guest.ask("lookup", root, texts("file"));
  await setImmediate();
  assert.equal(under.length, 128);
  t.mock.timers.tick(5_000);
  assert.equal((await more).errno, errno.timedout);
  for (const resolve of under.splice(0)) resolve({ kind: "file" });
  await setImmediate();
  const last = guest.ask("lookup", root, texts("file"));
  await setImmediate();
  under[0]?.({ kind: "file" });
  assert.equal((await last).errno, 0);
  assert.equal(guest.server.size, size + 1);
  assert.equal(guest.consumed, guest.sent);
});

test("a second request of a number that waits is refused, and is no call", async (t) => {
  const under: ((stat: ProvidedStat) => void)[] = [];
  const guest = mounted(t, fileThat({ stat: () => new Promise((resolve) => under.push(resolve)) }));
  const request = requestOf("lookup", root, texts("file"));
  const answer = guest.answerTo(request);
  for (let each = 0; each < 1_000; each++) guest.raw(request);
  await setImmediate();
  assert.equal(under.length, 1);
  assert.equal((await answer).errno, errno.inval);
  under[0]?.({ kind: "file" });
  await setImmediate();
  assert.deepEqual(
    guest.unexpected.map((each) => each.errno),
    [...Array.from({ length: 999 }, () => errno.inval), 0],
  );
});

test("a provider that hangs holds no more than was said, and what is closed meanwhile is closed", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let bytes = 0;
  const files: FileProvider = {
    ...fileThat({ read: () => new Promise(() => undefined) }),
    write: (_path, _offset, data) => {
      bytes += data.length;
      return new Promise(() => undefined);
    },
  };
  const guest = mounted(t, files, { timeoutMs: 1_000 });
  const { id } = await guest.lookup(root, "file");
  const handle = await guest.open(id, 2);
  const data = "x".repeat(256 << 10);
  for (let round = 0; round < 10; round++) {
    for (let each = 0; each < 50; each++) {
      // As much as there is credit for.
      if (guest.sent - guest.consumed > 1 << 20) break;
      guest.raw(requestOf("write", id, writeBody(handle, 0, data)));
    }
    await setImmediate();
    t.mock.timers.tick(1_000);
    await setImmediate();
  }
  assert.ok(bytes <= 18 << 20, `${bytes} bytes are in calls`);

  const reading = mounted(t, files, { timeoutMs: 1_000 });
  const file = (await reading.lookup(root, "file")).id;
  const open = await reading.open(file);
  for (let each = 0; each < 128; each++) reading.raw(requestOf("read", file, readBody(open, 0, 5)));
  await reading.release(file, open);
});

test("nothing is begun while much of what was answered waits to be taken", async (t) => {
  let calls = 0;
  const read = (_offset: number, length: number): Uint8Array => {
    calls++;
    return new Uint8Array(length);
  };
  const guest = mounted(t, fileThat({ read }));
  const { id } = await guest.lookup(root, "file");
  const handle = await guest.open(id);
  guest.unsent = (1 << 20) + 1;
  const before = guest.consumed;
  const answers = Array.from({ length: 10 }, () => guest.ask("read", id, readBody(handle, 0, 5)));
  await setImmediate();
  assert.equal(calls, 0);
  assert.equal(guest.consumed, before, "and nothing more is taken");
  guest.unsent = 1 << 20;
  guest.server.resume();
  assert.ok((await Promise.all(answers)).every((answer) => answer.errno === 0));
  assert.equal(calls, 10);
  await setImmediate();
  assert.equal(guest.consumed, guest.sent);
});

test("so many calls go on at a time, others wait for their turn, and what is held has a limit", async (t) => {
  const under: ((bytes: Uint8Array) => void)[] = [];
  let written = 0;
  const files: FileProvider = {
    ...fileThat({}),
    read: () => new Promise((resolve) => under.push(resolve)),
    write: () => {
      written++;
      return new Promise(() => undefined);
    },
  };
  const guest = mounted(t, files);
  const { id } = await guest.lookup(root, "file");
  const handle = await guest.open(id, 2);
  const reads = Array.from({ length: 200 }, () => guest.ask("read", id, readBody(handle, 0, 1)));
  await setImmediate();
  assert.equal(under.length, 128);
  for (let each = 0; each < 200; each++) {
    under[each]?.(new Uint8Array(0));
    await setImmediate();
  }
  assert.ok((await Promise.all(reads)).every((answer) => answer.errno === 0));

  const data = "x".repeat(256 << 10);
  for (let each = 0; each < 100; each++) guest.raw(requestOf("write", id, writeBody(handle, 0, data)));
  await setImmediate();
  assert.equal(written, 100);
  const most = (16 << 20) + (1 << 20);
  assert.ok(guest.sent > most && guest.consumed < most, `${guest.consumed} bytes of ${guest.sent} are taken`);
});

test("the kernel's numbers are forgotten when it says so, and one that never does gets no more", async (t) => {
  const files = memory();
  const guest = mounted(t, files);
  let parent = root;
  const made: number[] = [];
  for (let depth = 0; depth < 500; depth++) {
    const { id } = await guest.mkdir(parent, "d");
    made.push(id);
    parent = id;
  }
  assert.equal(guest.server.size, 501);
  // A parent may be forgotten before what is in it.
  for (const id of made) guest.forget(id, 1);
  assert.equal(guest.server.size, 1);
  assert.equal((await guest.ask("getattr", parent, getattrBody)).errno, errno.stale);
  guest.forget(root, 100);
  await guest.attributes(root);

  // A listing tells of each entry that has a stat.
  for (const name of ["a", "b", "c"]) await files.create(`/${name}`);
  const names = await guest.list(root, true);
  assert.equal(names.length, 6);
  assert.equal(guest.server.size, 1 + 4);
});

test("INIT begins anew", async (t) => {
  const files = memory({ files: { "/file": "x" } });
  const guest = mounted(t, files);
  const { id } = await guest.lookup(root, "file");
  const body = await guest.must("init", 0, fields([32, 7], [32, 36], [32, 1 << 20], [32, 0xffff_ffff]));
  assert.equal(body.readUInt32LE(20), 256 << 10);
  assert.equal((await guest.ask("getattr", id, getattrBody)).errno, errno.stale);
  const old = await guest.ask("init", 0, fields([32, 7], [32, 20], [32, 0], [32, 0]));
  assert.equal(old.errno, errno.inval);
});
