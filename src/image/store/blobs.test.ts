import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { locateHome } from "../../store/home.ts";
import { digestOf } from "../digest.ts";
import { dropDamaged, ensureBlob, partialPath } from "./blobs.ts";
import { blobPath, exists, imageStore, prepareStore, writeBlob, type ImageStore } from "./layout.ts";
import { withStoreLock } from "./locking.ts";

const run = promisify(execFile);

async function newStore(t: TestContext): Promise<ImageStore> {
  const directory = await mkdtemp(join(tmpdir(), "msb-blobs-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const store = imageStore(locateHome({ MSB_HOME: directory }));
  await prepareStore(store);
  return store;
}

const content = Buffer.from("a layer");
const digest = digestOf(content);

test("what the disk has damaged goes, whatever was said of its length, and what is whole stays", async (t) => {
  const store = await newStore(t);
  const path = blobPath(store, digest);
  await writeBlob(store, content);
  assert.deepEqual(await dropDamaged(store, [{ digest }, { digest }], undefined), []);
  assert.ok(await exists(path));
  const damages = [
    () => writeFile(path, "a longer layer"),
    () => writeFile(path, "a lAyer"),
    // Reads from the start of this process's memory give EIO.
    () => rm(path).then(() => symlink("/proc/self/mem", path)),
  ];
  for (const damage of damages) {
    await damage();
    assert.deepEqual(await dropDamaged(store, [{ digest }], undefined), [digest]);
    assert.ok(!(await exists(path)));
    assert.deepEqual(await dropDamaged(store, [{ digest }], undefined), []);
    await writeBlob(store, content);
  }
  assert.deepEqual(await readdir(store.ingest), []);
});

test("a layer that cannot be read for another reason stays, and the reason is told", async (t) => {
  const store = await newStore(t);
  const path = blobPath(store, digest);
  await writeBlob(store, content);
  // Who may remove it, but not read it: not root.
  await run("chmod", ["-R", "o+rwX", join(store.root, "..")]);
  await chmod(path, 0);
  const here = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { dropDamaged } from ${here("blobs.ts")};
    import { imageStore } from ${here("layout.ts")};
    import { locateHome } from ${here("../../store/home.ts")};
    if (process.getuid() === 0) { process.setgid(4321); process.setuid(4321); }
    const [home, digest] = process.argv.slice(1);
    const failed = dropDamaged(imageStore(locateHome({ MSB_HOME: home })), [{ digest }], undefined);
    console.log(await failed.then(String, ({ code, message }) => code + " " + message));
  `;
  const { stdout } = await run(process.execPath, [
    "--input-type=module",
    "--eval",
    script,
    join(store.root, ".."),
    digest,
  ]);
  assert.match(stdout, /^io cannot verify .*EACCES: .*, open .*blobs/);
  await chmod(path, 0o600);
  assert.deepEqual(await readFile(path), content);
});

test("of two who find one damaged, neither removes what the other has brought", async (t) => {
  const store = await newStore(t);
  const path = blobPath(store, digest);
  await writeFile(path, "damaged");
  const lock = `${partialPath(store, digest)}.lock`;
  let dropping: Promise<string[]> | undefined;
  // Held by the one that is mending it: the other looks only afterwards.
  await withStoreLock(lock, undefined, async () => {
    dropping = dropDamaged(store, [{ digest }], undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await readFile(path, "utf8"), "damaged");
    await writeFile(path, content);
  });
  assert.deepEqual(await dropping, []);

  await writeFile(path, "damaged");
  const mend = async (): Promise<void> => {
    await dropDamaged(store, [{ digest }], undefined);
    const receive = (partial: string): Promise<void> => writeFile(partial, content);
    await ensureBlob(store, { digest, size: content.length, receive }, undefined);
    assert.deepEqual(await readFile(path), content);
  };
  await Promise.all(Array.from({ length: 8 }, mend));
  assert.deepEqual(await readFile(path), content);
  assert.deepEqual(await readdir(store.ingest), []);
});
