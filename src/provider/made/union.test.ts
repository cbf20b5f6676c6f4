import assert from "node:assert/strict";
import { test } from "node:test";
import { call, withCode } from "../../../test/support/provider-call.ts";
import { isWritable, type FileProvider, type ProviderCall } from "../file-provider.ts";
import { memory, type MemoryProvider } from "./memory.ts";
import { union } from "./union.ts";

interface Both {
  readonly upper: MemoryProvider;
  readonly lower: MemoryProvider;
  readonly files: Required<FileProvider>;
}

function both(): Both {
  const lower = memory({ files: { "/file": "lower", "/d/one": "1", "/d/two": "2", "/only/here": "x" } });
  const upper = memory({ files: { "/d/three": "3" } });
  return { upper, lower, files: union(upper, lower) as Required<FileProvider> };
}

const text = async (files: FileProvider, path: string): Promise<string> =>
  Buffer.from(await files.read(path, 0, 1_000, call)).toString();
const names = async (files: FileProvider, path: string): Promise<string[]> =>
  (await files.list(path, call)).map(({ name }) => name).sort();
const attributes = { mode: 0o644, uid: 0, gid: 0 };

test("what is written goes up, and the lower one stays as it is", async () => {
  const { files, upper, lower } = both();
  assert.deepEqual(await names(files, "/"), ["d", "file", "only"]);
  assert.deepEqual(await names(files, "/d"), ["one", "three", "two"]);
  await lower.setAttributes("/file", { mode: 0o600, uid: 5, mtimeMs: 1_000 });
  await files.write("/file", 5, Buffer.from("+"), call);
  assert.equal(await text(files, "/file"), "lower+");
  assert.equal(await text(lower, "/file"), "lower");
  const { mode, uid } = await upper.stat("/file");
  assert.deepEqual([mode, uid], [0o600, 5]);
  await files.setAttributes("/only/here", { mode: 0o700 }, call);
  assert.equal((await upper.stat("/only/here")).mode, 0o700);
  assert.equal((await files.stat("/only/here", call)).mtimeMs, (await lower.stat("/only/here")).mtimeMs);
  await files.truncate("/d/one", 0, call);
  await files.create("/only/new", attributes, call);
  assert.deepEqual(await names(files, "/only"), ["here", "new"]);
  assert.deepEqual(await names(lower, "/only"), ["here"]);
  assert.equal(await text(lower, "/d/one"), "1");
  for (const path of ["/file", "/d/two", "/only"])
    await assert.rejects(files.create(path, attributes, call), withCode("EEXIST"));
  assert.deepEqual(await names(upper, "/"), ["d", "file", "only"], "no copy is left half way");
});

test("what is removed stays away, also when something else comes there", async () => {
  const { files, lower } = both();
  await files.remove("/file", call);
  await assert.rejects(files.stat("/file", call), withCode("ENOENT"));
  await assert.rejects(files.write("/file", 0, Buffer.from("x"), call), withCode("ENOENT"));
  await assert.rejects(files.removeDirectory("/d", call), withCode("ENOTEMPTY"));
  for (const name of ["one", "two", "three"]) await files.remove(`/d/${name}`, call);
  await files.removeDirectory("/d", call);
  assert.deepEqual(await names(files, "/"), ["only"]);
  await files.mkdir("/d", attributes, call);
  assert.deepEqual(await names(files, "/d"), []);
  await files.create("/d/one", attributes, call);
  assert.equal(await text(files, "/d/one"), "");
  await files.create("/file", attributes, call);
  assert.equal(await text(files, "/file"), "");
  await files.remove("/file", call);
  assert.deepEqual(await names(files, "/"), ["d", "only"]);
  assert.deepEqual(await names(lower, "/d"), ["one", "two"]);
});

test("files of the lower one are renamed as copies, its directories not at all", async () => {
  const { files, lower } = both();
  await files.rename("/file", "/d/one", call);
  assert.equal(await text(files, "/d/one"), "lower");
  await assert.rejects(files.stat("/file", call), withCode("ENOENT"));
  await assert.rejects(files.rename("/only", "/other", call), withCode("EXDEV"));
  await assert.rejects(files.rename("/d/one", "/only", call), withCode("EISDIR"));
  await files.mkdir("/mine", attributes, call);
  await files.create("/mine/x", attributes, call);
  await assert.rejects(files.rename("/mine", "/only", call), withCode("ENOTEMPTY"));
  await files.remove("/only/here", call);
  await files.rename("/mine", "/only", call);
  assert.deepEqual(await names(files, "/only"), ["x"], "what was below is covered");
  await files.rename("/only", "/again", call);
  assert.deepEqual(await names(files, "/"), ["again", "d"]);
  assert.equal(await text(lower, "/d/one"), "1");
});

test("a copy is whole or not there, and one that hangs or fails is made anew by the next one", async () => {
  const { upper, lower } = both();
  let fails = true;
  const failing: FileProvider = {
    ...{ stat: (path) => lower.stat(path), list: (path) => lower.list(path) },
    read: async (path, offset, length) => {
      if (fails) throw Object.assign(new Error("no"), { code: "EIO" });
      return await lower.read(path, offset, length);
    },
  };
  const files = union(upper, failing) as Required<FileProvider>;
  await assert.rejects(files.write("/file", 0, Buffer.from("L"), call), withCode("EIO"));
  assert.deepEqual(await names(upper, "/"), ["d"]);
  fails = false;
  // All of them wait for one copy.
  await Promise.all([0, 1, 2].map((at) => files.write("/file", at, Buffer.from("X"), call)));
  assert.equal(await text(files, "/file"), "XXXer");

  const [begun, never] = [Promise.withResolvers<void>(), new Promise<never>(() => undefined)];
  let hangs = true;
  const hanging: FileProvider = {
    ...failing,
    read: (path, offset, length) => {
      begun.resolve();
      return hangs ? never : lower.read(path, offset, length);
    },
  };
  const second = union(memory(), hanging) as Required<FileProvider>;
  const controller = new AbortController();
  const given: ProviderCall = { ...call, signal: controller.signal };
  const write = second.write("/file", 0, Buffer.from("L"), given);
  await begun.promise;
  controller.abort(new Error("given up"));
  await assert.rejects(write, /given up/);
  hangs = false;
  await second.write("/file", 0, Buffer.from("L"), call);
  assert.equal(await text(second, "/file"), "Lower");
});

test("it can be written as far as the upper one can", async () => {
  const { lower } = both();
  const reading: FileProvider = {
    ...{ stat: (path) => lower.stat(path), list: (path) => lower.list(path) },
    read: (path, offset, length) => lower.read(path, offset, length),
  };
  assert.equal(isWritable(union(reading, memory())), false);
  assert.equal(await text(union(reading, memory({ files: { "/file": "covered" } })), "/file"), "lower");
  const three = union(memory(), union(memory({ files: { "/mid": "m" } }), lower)) as Required<FileProvider>;
  await three.write("/mid", 1, Buffer.from("!"), call);
  assert.equal(await text(three, "/mid"), "m!");
  await three.remove("/file", call);
  assert.deepEqual(await names(three, "/"), ["d", "mid", "only"]);
});
