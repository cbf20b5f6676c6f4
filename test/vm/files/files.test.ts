import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { InvalidConfigError, Sandbox, SandboxFsError, type SandboxFs } from "../../../src/index.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();

/** What the shell prints, without the last newline. */
async function printed(sandbox: Sandbox, script: string): Promise<string> {
  const output = await sandbox.shell(script);
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().replace(/\n$/, "");
}

/** A refusal of the guest's. */
function refused(operation: string, errnoName: string | null): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SandboxFsError, String(error));
    assert.equal(error.operation, operation, error.message);
    assert.equal(error.errnoName, errnoName, error.message);
    assert.ok(error.path.startsWith("/"), error.path);
    return true;
  };
}

function refusedText(operation: string): (error: unknown) => boolean {
  return (error) => error instanceof SandboxFsError && error.operation === operation && error.errno === null;
}

describe("the files of a sandbox", () => {
  let sandbox: Sandbox;
  let fs: SandboxFs;
  before(async () => {
    sandbox = await Sandbox.builder("files").image("localhost/base").memory(256).create();
    fs = sandbox.fs();
  });
  after(() => sandbox.stop());

  test("are read and written as root, whoever the sandbox's user is", async () => {
    await fs.write("/root/secret", "only root's\n");
    assert.equal(await fs.readToString("/root/secret"), "only root's\n");
    assert.equal(await fs.readString("/root/secret", { offset: 5, length: 4 }), "root");
    const user = await sandbox.execWith("cat", (e) => e.arg("/root/secret").user("sandbox"));
    assert.equal(user.code, 1);
    assert.equal(sandbox.fs(), fs);
  });

  test("bytes stay bytes, and text that is none is told", async () => {
    const bytes = Buffer.from([0, 255, 254, 10, 0]);
    await fs.write("/tmp/bytes", bytes);
    assert.deepEqual(Buffer.from(await fs.read("/tmp/bytes")), bytes);
    await assert.rejects(fs.readToString("/tmp/bytes"), refused("decode", null));
    await fs.write("/tmp/empty", "");
    assert.equal((await fs.read("/tmp/empty")).length, 0);
    await fs.write("/tmp/bom", "\uFEFFtext");
    assert.equal(await fs.readToString("/tmp/bom"), "\uFEFFtext");
  });

  test("files of proc have contents, whatever size they say", async () => {
    assert.match(await fs.readToString("/proc/version"), /^Linux version/);
    await fs.write("/proc/sys/kernel/hostname", "renamed");
    assert.equal(await printed(sandbox, "hostname"), "renamed");
  });

  test("a new file is root's with 0644; an old one keeps its mode and owner, and is replaced at once", async () => {
    await fs.write("/tmp/kept", "one");
    assert.equal(await printed(sandbox, "stat -c '%a %u:%g' /tmp/kept"), "644 0:0");
    await fs.chown("/tmp/kept", 1000, 1001);
    await fs.chmod("/tmp/kept", 0o4751);
    await fs.write("/tmp/kept", "two");
    assert.equal(await printed(sandbox, "stat -c '%a %u:%g' /tmp/kept"), "4751 1000:1001");
    await fs.write("/tmp/kept", "three", { mode: 0o600 });
    assert.equal(await printed(sandbox, "stat -c '%a %u:%g' /tmp/kept"), "600 1000:1001");
    assert.deepEqual(await names("/tmp", ".msb-"), []);
  });

  test("a disk without room for a new file keeps the old one, and where none can be made it goes with the first byte", async () => {
    await printed(
      sandbox,
      `cd /tmp && mkdir full fixed small && mount -t tmpfs -o nr_inodes=2 none full && echo old > full/file
       mount -t tmpfs none fixed && echo old > fixed/file && mount --bind fixed/file fixed/file && mount -o remount,bind,ro fixed
       mount -t tmpfs -o size=16k none small && echo old > small/file && touch mounted && mount --bind small/file mounted`,
    );
    await assert.rejects(fs.write("/tmp/full/file", "new"), refused("open", "ENOSPC"));
    assert.equal(await fs.readToString("/tmp/full/file"), "old\n");
    const given = await fs.writeStream("/tmp/fixed/file");
    given.abort();
    assert.equal(await fs.readToString("/tmp/fixed/file"), "old\n");
    await fs.write("/tmp/fixed/file", "n");
    assert.equal(await fs.readToString("/tmp/fixed/file"), "n");
    await fs.write("/tmp/fixed/file", "");
    assert.equal(await fs.readToString("/tmp/fixed/file"), "");
    await assert.rejects(fs.write("/tmp/mounted", Buffer.alloc(100_000)), (error) => {
      assert.ok(refused("write", "ENOSPC")(error));
      assert.match(String(error), /what was in it is lost/);
      return true;
    });
  });

  test("a write follows links, and makes what a dangling one names", async () => {
    await fs.mkdir("/tmp/links");
    await fs.symlink("made", "/tmp/links/dangling");
    await fs.write("/tmp/links/dangling", "through");
    assert.equal(await fs.readToString("/tmp/links/made"), "through");
    assert.equal((await fs.stat("/tmp/links/dangling", { followSymlinks: false })).kind, "symlink");
    await fs.symlink("/tmp/links/circle", "/tmp/links/circle");
    await assert.rejects(fs.write("/tmp/links/circle", ""), refused("open", "ELOOP"));
  });

  test("a sink that is given up leaves the old file, and so does one that ends with the program's connection", async () => {
    await fs.write("/tmp/old", "old");
    const sink = await fs.writeStream("/tmp/old");
    await sink.write("new");
    assert.equal(await fs.readToString("/tmp/old"), "old");
    sink.abort();
    await assert.rejects(sink.close(), { name: "RuntimeError" });
    const other = await Sandbox.get("files").then((handle) => handle.connect());
    const lost = await other.fs().writeStream("/tmp/old");
    await lost.write("newer");
    await other[Symbol.asyncDispose]();
    await eventually("nothing is left aside", async () =>
      (await names("/tmp", ".msb-")).length === 0 ? true : null,
    );
    assert.equal(await fs.readToString("/tmp/old"), "old");
  });

  test("a sink takes pieces of any size, and what is written after its end is refused", async () => {
    const sink = await fs.writeStream("/tmp/pieces", { mode: 0o640 });
    const piece = Buffer.alloc(300_000, "a");
    await Promise.all([sink.write(piece), sink.write("b"), sink.write(piece)]);
    await sink.close();
    await sink.close();
    await assert.rejects(sink.write("more"), { name: "RuntimeError" });
    const { size, mode } = await fs.stat("/tmp/pieces");
    assert.deepEqual([size, mode], [600_001, 0o640]);
    assert.equal(await printed(sandbox, "tr -d a < /tmp/pieces"), "b");
  });

  test("a read stream gives the contents in pieces, and null for ever after", async () => {
    await using stream = await fs.readStream("/tmp/pieces");
    assert.equal(stream.size, 600_001);
    const first = await stream.recv();
    const rest = await stream.collect();
    assert.equal((first?.length ?? 0) + rest.length, 600_001);
    assert.deepEqual([await stream.recv(), await stream.recv()], [null, null]);
    for await (const chunk of await fs.readStream("/tmp/pieces")) {
      assert.ok(chunk.length <= 65_536);
      break;
    }
  });

  test("what is no file is refused by name, and nobody waits for a pipe or a device", async () => {
    await printed(sandbox, "mkfifo /tmp/pipe");
    for (const path of ["/tmp/pipe", "/dev/zero", "/dev/console"]) {
      await assert.rejects(fs.read(path), refused("open", null));
      await assert.rejects(fs.write(path, "x"), refused("open", null));
      await assert.rejects(fs.truncate(path), refused("open", null));
      await assert.rejects(fs.copy(path, "/tmp/copy"), refused("open", null));
      assert.equal((await fs.stat(path)).kind, "other");
    }
    await assert.rejects(fs.read("/tmp"), refused("open", "EISDIR"));
    await assert.rejects(fs.write("/tmp", "x"), refused("open", "EISDIR"));
    await assert.rejects(fs.write("/tmp/missing/file", "x"), refused("open", "ENOENT"));
    await assert.rejects(fs.writeStream("/tmp/old/file"), refused("open", "ENOTDIR"));
    await assert.rejects(fs.read("/missing"), (error) => {
      assert.ok(error instanceof SandboxFsError);
      assert.match(error.message, /^open: No such file or directory \(os error 2\)/);
      assert.deepEqual([error.code, error.errno, error.path], ["sandboxFs", 2, "/missing"]);
      return true;
    });
  });

  test("directories", async () => {
    await fs.mkdir("/tmp/dir/a/b", { mode: 0o700 });
    await fs.mkdir("/tmp/dir/a/b");
    assert.equal(await printed(sandbox, "stat -c %a /tmp/dir/a /tmp/dir/a/b"), "755\n700");
    await assert.rejects(fs.mkdir("/tmp/dir/a", { parents: false }), refused("mkdir", "EEXIST"));
    await assert.rejects(fs.mkdir("/tmp/dir/c/d", { parents: false }), refused("mkdir", "ENOENT"));
    await assert.rejects(fs.mkdir("/tmp/old"), refused("mkdir", "EEXIST"));
    await fs.symlink("/root/secret", "/tmp/dir/a/link");
    await fs.write("/tmp/dir/a/file", "x");
    const entries = (await fs.list("/tmp/dir/a")).toSorted((one, other) => (one.path < other.path ? -1 : 1));
    assert.deepEqual(
      entries.map(({ path, kind, size, mode, target, isUtf8 }) => [path, kind, size, mode, target, isUtf8]),
      [
        [
          "/tmp/dir/a/b",
          "directory",
          Number(await printed(sandbox, "stat -c %s /tmp/dir/a/b")),
          0o700,
          null,
          true,
        ],
        ["/tmp/dir/a/file", "file", 1, 0o644, null, true],
        ["/tmp/dir/a/link", "symlink", 12, 0o777, "/root/secret", true],
      ],
    );
    await assert.rejects(fs.list("/tmp/old"), refused("list", "ENOTDIR"));
    await assert.rejects(fs.list("/missing"), refused("stat", "ENOENT"));
    await assert.rejects(fs.remove("/tmp/dir"), refused("remove", "EISDIR"));
    await assert.rejects(fs.removeDir("/tmp/dir/a/link"), refused("remove", "ENOTDIR"));
    await fs.symlink("b", "/tmp/dir/a/to-b");
    await assert.rejects(fs.removeDir("/tmp/dir/a/to-b/"), refused("remove", "ENOTDIR"));
    await assert.rejects(fs.write("/tmp/dir/a/new/", "x"), refused("open", "EISDIR"));
    assert.ok((await fs.list("/proc")).some(({ path }) => path === "/proc/1"));
    await assert.rejects(fs.removeDir("/"), refused("remove", "EBUSY"));
    await assert.rejects(fs.removeDir("/proc"), refused("remove", "EBUSY"));
    await fs.remove("/tmp/dir/a/link");
    await fs.symlink("/root", "/tmp/dir/a/link");
    await fs.removeDir("/tmp/dir");
    assert.deepEqual([await fs.exists("/tmp/dir"), await fs.exists("/root/secret")], [false, true]);
  });

  test("a list of all that is below is an iterator, which can be left", async () => {
    await printed(sandbox, "mkdir -p /tmp/tree/a/b/c; touch /tmp/tree/1 /tmp/tree/a/2 /tmp/tree/a/b/3");
    const paths: string[] = [];
    for await (const { path } of fs.list("/tmp/tree/", { recursive: true })) paths.push(path);
    assert.deepEqual(paths.toSorted(), [
      "/tmp/tree/1",
      "/tmp/tree/a",
      "/tmp/tree/a/2",
      "/tmp/tree/a/b",
      "/tmp/tree/a/b/3",
      "/tmp/tree/a/b/c",
    ]);
    for await (const { path } of fs.list("/", { recursive: true })) {
      assert.ok(path.startsWith("/"));
      break;
    }
    await assert.rejects(
      fs.list("/missing", { recursive: true })[Symbol.asyncIterator]().next(),
      SandboxFsError,
    );
  });

  test("names may be any bytes; those that are no UTF-8 are told as bytes, and taken so", async () => {
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x0a, 0x80]);
    const path = Buffer.concat([Buffer.from("/tmp/odd/"), name]);
    await fs.mkdir("/tmp/odd");
    await fs.write(path, "odd");
    const [entry] = await fs.list("/tmp/odd");
    assert.ok(entry !== undefined);
    assert.deepEqual([Buffer.from(entry.pathBytes), entry.isUtf8], [path, false]);
    assert.equal(await fs.readToString(entry.pathBytes), "odd");
    await fs.symlink(path, "/tmp/odd-link");
    await assert.rejects(fs.readLink("/tmp/odd-link"), refusedText("readlink"));
    assert.deepEqual(Buffer.from(await fs.readLinkBytes("/tmp/odd-link")), path);
    assert.deepEqual(Buffer.from(await fs.realPathBytes("/tmp/odd-link")), path);
    const long = `/tmp/${"x".repeat(255)}`;
    await fs.write(long, "long");
    await fs.rename(long, `/tmp/odd/${"ä".repeat(127)}`);
    assert.equal((await fs.list("/tmp/odd")).length, 2);
    await fs.removeDir("/tmp/odd");
  });

  test("attributes", async () => {
    await fs.mkdir("/work");
    await fs.write("/work/attributes", "1234567890");
    await fs.symlink("attributes", "/work/attributes-link");
    await fs.chmod("/work/attributes-link", 0o400);
    await fs.chown("/work/attributes-link", 5, null, { followSymlinks: false });
    await fs.chown("/work/attributes-link", null, 6);
    await fs.utimes("/work/attributes", { modified: new Date("1969-12-31T23:59:58.500Z"), accessed: 1000 });
    assert.equal(await printed(sandbox, "stat -L -c '%X %Y' /work/attributes-link"), "1 -2");
    await fs.truncate("/work/attributes", 3);
    await fs.truncate("/work/attributes", 5);
    await fs.utimes("/work/attributes", { modified: new Date("1969-12-31T23:59:58.500Z") });
    const found = await fs.stat("/work/attributes-link");
    const { kind, size, mode, readonly, modified, uid, gid, links, created } = found;
    assert.deepEqual(
      { kind, size, mode, readonly, modified, uid, gid, links },
      {
        kind: "file",
        size: 5,
        mode: 0o400,
        readonly: true,
        modified: new Date(-1500),
        uid: 0,
        gid: 6,
        links: 1,
      },
    );
    assert.ok(created === null || Math.abs(created.getTime() - Date.now()) < 3_600_000);
    assert.equal((await fs.stat("/work/attributes-link", { followSymlinks: false })).uid, 5);
    assert.deepEqual(Buffer.from(await fs.read("/work/attributes")), Buffer.from("123\0\0"));
    assert.equal(await fs.readLink("/work/attributes-link"), "attributes");
    assert.equal(await fs.realPath("/tmp/../work/attributes-link"), "/work/attributes");
    await assert.rejects(fs.readLink("/work/attributes"), refused("readlink", "EINVAL"));
  });

  test("copies within the guest keep the mode and holes", async () => {
    await printed(sandbox, "cd /tmp; truncate -s 4M holes; echo end >> holes");
    await fs.chmod("/tmp/holes", 0o750);
    await fs.copy("/tmp/holes", "/tmp/copied");
    const same =
      "cmp /tmp/holes /tmp/copied && stat -c '%a %s' /tmp/copied && [ $(stat -c %b /tmp/copied) -lt 100 ]";
    assert.equal(await printed(sandbox, same), "750 4194308");
    await assert.rejects(fs.copy("/tmp", "/tmp/copied"), refused("open", "EISDIR"));
    await fs.copy("/proc/version", "/tmp/version");
    assert.match(await fs.readToString("/tmp/version"), /^Linux/);
  });

  test("a file with a mount of its own is written in place", async () => {
    await fs.write("/tmp/mounted", "before");
    await fs.write("/tmp/under", "under");
    assert.equal(
      (await sandbox.execWith("mount", (e) => e.args(["--bind", "/tmp/mounted", "/tmp/under"]).user("root")))
        .code,
      0,
    );
    await fs.write("/tmp/under", "after");
    assert.equal(await fs.readToString("/tmp/mounted"), "after");
    assert.deepEqual(await names("/tmp", ".msb-"), []);
  });

  test("changes are told as they happen, in order, also those that came before anybody asked", async () => {
    await fs.mkdir("/tmp/watched/below");
    await using watcher = await fs.watch("/tmp/watched");
    await printed(sandbox, "true");
    await fs.mkdir("/tmp/watched/made");
    await fs.rename("/tmp/watched/made", "/tmp/watched/moved");
    await fs.removeDir("/tmp/watched/moved");
    const told: unknown[] = [];
    let from = 0;
    for await (const { kind, path, isDirectory, cookie } of watcher) {
      told.push([kind, path, isDirectory]);
      if (kind === "movedFrom") from = cookie;
      if (kind === "movedTo") assert.equal(cookie, from);
      if (kind === "deleted") break;
    }
    assert.deepEqual(told, [
      ["created", "/tmp/watched/made", true],
      ["movedFrom", "/tmp/watched/made", true],
      ["movedTo", "/tmp/watched/moved", true],
      ["deleted", "/tmp/watched/moved", true],
    ]);
    assert.equal(await watcher.recv(), null);
    await assert.rejects(fs.watch("/missing"), refused("watch", "ENOENT"));
  });

  test("the end of what is watched, and more than the guest keeps, are told too", async () => {
    await using watcher = await fs.watch("/tmp/watched");
    // Twice as many events as inotify keeps: created, modified or attributes, closed.
    await sandbox.execWith("sh", (e) =>
      e.args(["-c", "cd /tmp/watched; seq 6000 | xargs touch; cd /; rm -rf /tmp/watched"]).user("root"),
    );
    const kinds: string[] = [];
    for (let change = await watcher.recv(); change !== null; change = await watcher.recv())
      kinds.push(change.kind);
    assert.ok(kinds.includes("overflow"), `${kinds.length} changes`);
    assert.equal(kinds.at(-1), "gone");
  });

  test("a wait for a change can be given up, and the change comes to the next one who asks", async () => {
    await fs.mkdir("/tmp/quiet");
    await using watcher = await fs.watch("/tmp/quiet");
    await assert.rejects(watcher.recv({ timeoutMs: 20 }), { name: "OperationTimeoutError" });
    await fs.mkdir("/tmp/quiet/x");
    assert.equal((await watcher.recv())?.path, "/tmp/quiet/x");
  });

  test("hundreds of calls at once all come to their turn", async () => {
    await fs.mkdir("/tmp/many");
    const numbers = Array.from({ length: 500 }, (_, number) => number);
    await Promise.all(numbers.map((number) => fs.write(`/tmp/many/${number}`, String(number))));
    const texts = await Promise.all(numbers.map((number) => fs.readToString(`/tmp/many/${number}`)));
    assert.deepEqual(texts, numbers.map(String));
  });

  test("what is given up frees the guest, which goes on", async () => {
    const giveUp = AbortSignal.timeout(30);
    await assert.rejects(async () => {
      for (;;) await fs.copy("/tmp/holes", "/tmp/copied", { signal: giveUp });
    });
    await assert.rejects(fs.read("/tmp/old", { signal: AbortSignal.abort(new Error("never mind")) }), {
      message: "never mind",
    });
    assert.equal(await fs.readToString("/tmp/old"), "old");
  });

  test("bad input is refused before anything is asked", async () => {
    const wrong: readonly (() => Promise<unknown>)[] = [
      () => fs.read("relative"),
      () => fs.read(""),
      () => fs.read("/a\0b"),
      () => fs.read("/\ud800"),
      () => fs.read(Buffer.from("x")),
      () => fs.read(5 as never),
      () => fs.read("/x", { offset: -1 }),
      () => fs.write("/x", 5 as never),
      () => fs.write("/x", "\ud800"),
      () => fs.write("/x", "", { mode: 0o10000 }),
      () => fs.write("/x", "", { modus: 1 } as never),
      () => fs.chown("/x", -1, 0),
      () => fs.utimes("/x", { modified: new Date(NaN) }),
      () => fs.utimes("/x", { mtime: 5 } as never),
      () => fs.symlink("", "/x"),
      () => fs.truncate("/x", 1.5),
    ];
    for (const call of wrong) await assert.rejects(call(), InvalidConfigError, String(call));
  });

  async function names(directory: string, prefix: string): Promise<string[]> {
    return (await fs.list(directory))
      .map(({ path }) => path.slice(directory.length + 1))
      .filter((name) => name.startsWith(prefix));
  }
});
