import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { IoError } from "../../errors/index.ts";
import { VolumeFs } from "./volume-fs.ts";

const directories: string[] = [];
after(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

function volume(): { readonly fs: VolumeFs; readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "msb-volume-faults-"));
  directories.push(path);
  return { fs: new VolumeFs(path), path };
}

async function failsWith(call: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof IoError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("copies a tree over links, which are replaced, and says where it has failed", async () => {
  const { fs, path } = volume();
  await fs.write("outside", "untouched");
  await fs.write("from/sub/file", "new");
  await fs.write("to/kept", "kept");
  await fs.mkdir("to/sub");
  symlinkSync("../../outside", join(path, "to/sub/file"));
  await fs.copy("from", "to");
  assert.deepEqual(
    [await fs.readToString("to/sub/file"), await fs.readToString("outside")],
    ["new", "untouched"],
  );
  assert.equal((await fs.stat("to/sub/file")).kind, "file");
  execFileSync("mkfifo", [join(path, "from/sub/pipe")]);
  await failsWith(fs.copy("from", "other"), /copy .*EINVAL: it is no regular file: sub\/pipe/);
  await fs.remove("from/sub/pipe");
  await fs.removeDir("to/sub");
  symlinkSync("kept", join(path, "to/sub"));
  await failsWith(fs.copy("from", "to"), /ENOTDIR.*: sub$/);
});

test("what is not there is not copied, and leaves no directories", async () => {
  const { fs } = volume();
  for (const call of [() => fs.copy("none", "a/b/c"), () => fs.rename("none", "a/b/c")])
    await failsWith(call(), /^cannot (copy|rename) "none" in the volume: ENOENT: no such file/);
  assert.deepEqual(await fs.list("/"), []);
});

test("lists what a path with .. leads to under its name", async () => {
  const { fs, path } = volume();
  await fs.write("a/b/inner", "");
  await fs.write("a/file", "");
  symlinkSync("a/b", join(path, "link"));
  const paths = async (of: string): Promise<string[]> =>
    (await fs.list(of)).map((entry) => entry.path).sort();
  assert.deepEqual(await paths("a/../a"), ["/a/b", "/a/file"]);
  assert.deepEqual(await paths("link/.."), ["/a/b", "/a/file"]);
  assert.deepEqual(await paths("link"), ["/link/inner"]);
  assert.deepEqual(await paths("a/.."), ["/a", "/link"]);
});

test("what fails is told by the path in the volume", async () => {
  const { fs } = volume();
  await fs.write("file", "");
  for (const call of [
    () => fs.read("none"),
    () => fs.read("none/x"),
    () => fs.read("file/x"),
    () => fs.list("file"),
    () => fs.remove("none"),
    () => fs.rename("file", "file/x"),
  ]) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof IoError, String(error));
      assert.doesNotMatch(error.message, /\/proc\//);
      assert.doesNotMatch(error.hint, /Create the directory/);
      return true;
    });
  }
});

test("what a write left that was killed goes with the next listing, and what is somebody else's stays", async () => {
  const { fs, path } = volume();
  const script = `
    const { VolumeFs } = await import(${JSON.stringify(new URL("./volume-fs.ts", import.meta.url).href)});
    const sink = await new VolumeFs(process.argv[1]).writeStream("file");
    await sink.write("half");
    process.kill(process.pid, "SIGKILL");
  `;
  const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script, path]);
  assert.equal(signal, "SIGKILL");
  const own = await fs.writeStream("mine");
  await own.write("half");
  assert.equal(readdirSync(path).length, 2);
  assert.equal((await fs.list("/")).length, 1);
  await own.close();
  assert.deepEqual(readdirSync(path), ["mine"]);
});

test("a read that is given up takes nothing from the stream", async () => {
  const { fs } = volume();
  const bytes = randomBytes(7 * 1024 * 1024);
  await fs.write("large", bytes);
  await using stream = await fs.readStream("large");
  const chunks: Uint8Array[] = [];
  for (;;) {
    const over = new AbortController();
    const given = stream.recv({ signal: over.signal });
    over.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    const [one, two] = await Promise.all([stream.recv(), stream.recv()]);
    for (const chunk of [one, two]) if (chunk !== null) chunks.push(chunk);
    if (two === null) break;
  }
  assert.ok(bytes.equals(Buffer.concat(chunks)));
});
