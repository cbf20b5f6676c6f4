import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { IoError } from "../../errors/index.ts";
import { writeUserFile } from "./user-file.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "msb-user-file-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const pieces =
  (...list: readonly string[]) =>
  (): Readable =>
    Readable.from(list.map((piece) => Buffer.from(piece)));

test("a new file has the mode that was asked for, and one that is there keeps its own", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  await writeUserFile(path, pieces("a", "b"), { mode: 0o640 });
  assert.equal(await readFile(path, "utf8"), "ab");
  // Less the umask.
  assert.equal((await stat(path)).mode & 0o777 & ~0o640, 0);
  await chmod(path, 0o604);
  if (isRoot) await chown(path, 1234, 567);
  await writeUserFile(path, "new", { mode: 0o600 });
  const { mode, uid, gid } = await stat(path);
  assert.equal(await readFile(path, "utf8"), "new");
  assert.equal(mode & 0o7777, 0o604);
  if (isRoot) assert.deepEqual([uid, gid], [1234, 567]);
  assert.deepEqual(await readdir(directory), ["file"]);
});

test("links are followed, through directories and to what is not there yet, and stay links", async (t) => {
  const directory = await scratch(t);
  await mkdir(join(directory, "real", "deep"), { recursive: true });
  await symlink("real/deep", join(directory, "way"));
  await writeFile(join(directory, "real", "file"), "old");
  // The .. is that of real/deep, not of the link to it.
  await symlink("way/../file", join(directory, "one"));
  await symlink("one", join(directory, "two"));
  await symlink(join(directory, "real", "later"), join(directory, "dangling"));
  for (const [name, place] of [
    ["two", "file"],
    ["dangling", "later"],
  ] as const) {
    const path = join(directory, name);
    await writeUserFile(path, name);
    assert.ok((await lstat(path)).isSymbolicLink());
    assert.equal(await readFile(join(directory, "real", place), "utf8"), name);
  }
  assert.deepEqual((await readdir(join(directory, "real"))).sort(), ["deep", "file", "later"]);
  await symlink("round", join(directory, "round"));
  await assert.rejects(writeUserFile(join(directory, "round"), "x"), IoError);
});

test("devices and pipes are written through", async (t) => {
  const directory = await scratch(t);
  await symlink("/dev/null", join(directory, "nothing"));
  await writeUserFile(join(directory, "nothing"), pieces("x"));
  assert.ok((await stat("/dev/null")).isCharacterDevice());
  const pipe = join(directory, "pipe");
  await run("mkfifo", [pipe]);
  const writing = writeUserFile(pipe, pieces("a".repeat(200_000), "end"));
  const reader = spawn("cat", [pipe], { stdio: ["ignore", "pipe", "inherit"] });
  assert.equal(await text(reader.stdout), `${"a".repeat(200_000)}end`);
  await writing;
  assert.ok((await stat(pipe)).isFIFO());
  // Nobody reads.
  const stop = new AbortController();
  const waiting = writeUserFile(pipe, "x", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("this process's own descriptors are written where they stand", async (t) => {
  const directory = await scratch(t);
  const script = `
    import { writeUserFile } from ${JSON.stringify(new URL("user-file.ts", import.meta.url).href)};
    await writeUserFile(process.argv[1], "written\\n");
  `;
  const log = join(directory, "log");
  await symlink("/dev/stdout", join(directory, "out"));
  for (const [path, redirection] of [
    ["/dev/stdout", `>>${log}`],
    ["/dev/fd/1", `>>${log}`],
    [join(directory, "out"), `>>${log}`],
    ["/proc/self/fd/7", `7>>${log}`],
    ["/dev/stdout", `| cat >>${log}`],
  ] as const) {
    await writeFile(log, "before\n");
    const command = `"$0" --input-type=module --eval "$1" "$2" ${redirection}`;
    await run("sh", ["-c", command, process.execPath, script, path]);
    assert.equal(await readFile(log, "utf8"), "before\nwritten\n", `${path} ${redirection}`);
  }
});

test("a failure leaves what was there, and says why", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  await writeFile(path, "before");
  const failing = (): Readable =>
    Readable.from(
      (async function* () {
        yield Buffer.from("half");
        await Promise.resolve();
        throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      })(),
    );
  await assert.rejects(writeUserFile(path, failing), (error) => {
    assert.ok(error instanceof IoError);
    assert.match(error.message, /cannot write .*file: .*no space/);
    assert.match(error.hint, /disk is full/);
    return true;
  });
  assert.equal(await readFile(path, "utf8"), "before");
  await assert.rejects(writeUserFile("/dev/full", "x".repeat(100)), /ENOSPC/);
  await assert.rejects(writeUserFile(directory, "x"), /is a directory/);
  await assert.rejects(writeUserFile(join(directory, "none", "file"), "x"), (error) => {
    assert.ok(error instanceof IoError);
    assert.match(error.hint, /directory/);
    return true;
  });
  const stop = AbortSignal.abort(new Error("enough"));
  await assert.rejects(writeUserFile(path, pieces("x"), { signal: stop }), /enough/);
  assert.equal(await readFile(path, "utf8"), "before");
  assert.deepEqual(await readdir(directory), ["file"]);
});

test("a file that cannot be replaced is written in place", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  await writeFile(path, "a longer content");
  const script = `
    import { writeUserFile } from ${JSON.stringify(new URL("user-file.ts", import.meta.url).href)};
    if (process.getuid() === 0) { process.setgid(4321); process.setuid(4321); }
    await writeUserFile(process.argv[1], "new");
  `;
  // In a directory that the writer may not write: of root here, or made so.
  await chmod(path, 0o666);
  await chmod(directory, 0o555);
  const { ino, uid } = await stat(path);
  try {
    await run(process.execPath, ["--input-type=module", "--eval", script, path]);
  } finally {
    await chmod(directory, 0o755);
  }
  assert.equal(await readFile(path, "utf8"), "new");
  const after = await stat(path);
  assert.deepEqual([after.ino, after.uid], [ino, uid]);
});

test("a file that is mounted over another one of the same file system is written in place", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "file");
  const mounted = join(directory, "mounted");
  await writeFile(path, "below");
  await writeFile(mounted, "a longer content");
  const { ino } = await stat(mounted);
  const script = `
    import { Readable } from "node:stream";
    import { writeUserFile } from ${JSON.stringify(new URL("user-file.ts", import.meta.url).href)};
    await writeUserFile(process.argv[1], () => Readable.from([Buffer.from("new")]));
  `;
  await run("unshare", [
    isRoot ? "-m" : "-rm",
    "sh",
    "-c",
    'mount --bind "$1" "$2" && exec "$0" --input-type=module --eval "$3" "$2"',
    process.execPath,
    mounted,
    path,
    script,
  ]);
  assert.equal(await readFile(mounted, "utf8"), "new");
  assert.equal((await stat(mounted)).ino, ino);
  assert.equal(await readFile(path, "utf8"), "below");
  assert.deepEqual((await readdir(directory)).sort(), ["file", "mounted"]);
});

test("a directory whose list may not be read takes a file all the same", async (t) => {
  const directory = await scratch(t);
  const inner = join(directory, "inner");
  await mkdir(inner);
  if (isRoot) await chown(inner, 4321, 4321);
  await chmod(directory, 0o755);
  await chmod(inner, 0o300);
  const script = `
    import { writeUserFile } from ${JSON.stringify(new URL("user-file.ts", import.meta.url).href)};
    if (process.getuid() === 0) { process.setgid(4321); process.setuid(4321); }
    await writeUserFile(process.argv[1], "first");
    await writeUserFile(process.argv[1], "second");
  `;
  await run(process.execPath, ["--input-type=module", "--eval", script, join(inner, "file")]);
  await chmod(inner, 0o700);
  assert.equal(await readFile(join(inner, "file"), "utf8"), "second");
  assert.deepEqual(await readdir(inner), ["file"]);
});
