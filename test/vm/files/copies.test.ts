import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  IoError,
  PartialCopyError,
  Sandbox,
  SandboxFsError,
  type FsCopyProgress,
  type SandboxFs,
} from "../../../src/index.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

useTemporaryHome();

const place = mkdtempSync(join(tmpdir(), "msb-copies-"));
after(() => {
  rmSync(place, { recursive: true, force: true });
});

/** What is in a directory of the host: kind, mode, time, and contents or target, by path. */
function contents(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  const look = (path: Buffer, shown: string): void => {
    for (const name of readdirSync(path, { encoding: "buffer" })) {
      const at = Buffer.concat([path, Buffer.from("/"), name]);
      const called = `${shown}/${name.toString("latin1")}`;
      const status = lstatSync(at);
      // Node sets times to the microsecond, and tells them as a number that is no more exact.
      const common = `${status.mode.toString(8)} ${Math.floor(status.mtimeMs)}`;
      if (status.isDirectory()) {
        found.set(called, common);
        look(at, called);
      } else if (status.isSymbolicLink()) found.set(called, `${common} -> ${readlinkSync(at)}`);
      else found.set(called, `${common} ${status.size} ${readFileSync(at).subarray(-20).toString()}`);
    }
  };
  look(Buffer.from(directory), "");
  return new Map([...found].toSorted());
}

function refusedPaths(error: unknown): string[] {
  assert.ok(error instanceof PartialCopyError, String(error));
  assert.equal(error.refusedCount, error.refused.length);
  for (const { path } of error.refused.slice(0, 3)) assert.ok(error.message.includes(path), error.message);
  return error.refused.map(({ path }) => path).toSorted();
}

describe("copies between host and guest", () => {
  let sandbox: Sandbox;
  let fs: SandboxFs;
  const tree = join(place, "tree");
  before(async () => {
    mkdirSync(join(tree, "empty"), { recursive: true });
    mkdirSync(join(tree, "deep/er"), { recursive: true });
    writeFileSync(join(tree, "file"), "contents\n");
    writeFileSync(join(tree, "deep/script"), "#!/bin/sh\necho run\n");
    chmodSync(join(tree, "deep/script"), 0o750);
    writeFileSync(join(tree, "deep/er/large"), Buffer.alloc(700_000, "l"));
    writeFileSync(join(tree, "deep/holes"), "");
    truncateSync(join(tree, "deep/holes"), 8 << 20);
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/odd-`), Buffer.from([0xff, 0x0a])]), "odd");
    writeFileSync(join(tree, "x".repeat(255)), "");
    symlinkSync("deep/script", join(tree, "link"));
    symlinkSync("/nowhere/at/all", join(tree, "dangling"));
    utimesSync(join(tree, "file"), 1000, 1000.5);
    chmodSync(join(tree, "empty"), 0o711);
    utimesSync(join(tree, "empty"), 2000, 2000);
    utimesSync(join(tree, "deep"), 3000, 3000);
    sandbox = await Sandbox.builder("copies").image("localhost/base").memory(256).create();
    fs = sandbox.fs();
  });
  after(() => sandbox.stop());

  test("a directory goes in and comes out as it is: modes, times, links, holes, names", async () => {
    const steps: FsCopyProgress[] = [];
    await fs.copyFromHost(tree, "/work", { onProgress: (progress) => steps.push(progress) });
    assert.deepEqual(steps.at(-1), { entries: 12, bytes: 700_000 + 9 + 19 + 3 });
    assert.equal(
      (await sandbox.shell("/work/deep/script; stat -c %b /work/deep/holes")).stdout(),
      "run\n0\n",
    );
    const back = join(place, "back");
    steps.length = 0;
    await fs.copyToHost("/work", back, { onProgress: (progress) => steps.push(progress) });
    assert.equal(steps.at(-1)?.entries, 12);
    assert.deepEqual(contents(back), contents(tree));
    assert.equal(statSync(join(back, "deep/holes")).blocks, 0);
    // And into what is there, with what is there.
    writeFileSync(join(back, "mine"), "kept");
    rmSync(join(back, "file"));
    await fs.copyToHost("/work", back);
    assert.equal(readFileSync(join(back, "mine"), "utf8"), "kept");
    assert.equal(readFileSync(join(back, "file"), "utf8"), "contents\n");
    await fs.write("/work/more", "kept");
    await fs.copyFromHost(tree, "/work");
    assert.equal(await fs.readToString("/work/more"), "kept");
    assert.deepEqual(readdirSync(place).toSorted(), ["back", "tree"]);
  });

  test("links are followed when that is asked for, and one in a circle is told", async () => {
    const linked = join(place, "linked");
    mkdirSync(linked);
    symlinkSync(join(tree, "deep"), join(linked, "deep"));
    await fs.copyFromHost(linked, "/followed", { followSymlinks: true });
    assert.equal((await fs.stat("/followed/deep/script", { followSymlinks: false })).mode, 0o750);
    await fs.symlink("/work/file", "/followed/out");
    await fs.symlink(".", "/followed/circle");
    const followed = join(place, "followed");
    await assert.rejects(fs.copyToHost("/followed", followed, { followSymlinks: true }), (error) => {
      assert.deepEqual(refusedPaths(error), ["circle"]);
      return true;
    });
    assert.equal(readFileSync(join(followed, "out"), "utf8"), "contents\n");
    assert.ok(lstatSync(join(followed, "out")).isFile());
  });

  test("a single file", async () => {
    const script = relative(process.cwd(), join(tree, "deep/script"));
    await fs.copyFromHost(script, "/tmp/script");
    assert.equal((await fs.stat("/tmp/script")).mode, 0o644);
    await fs.chmod("/tmp/script", 0o700);
    await fs.copyFromHost(script, "/tmp/script");
    assert.equal((await fs.stat("/tmp/script")).mode, 0o700);
    await fs.copyFromHost(script, "/tmp/archived", { archive: true });
    const { mode, uid, modified } = await fs.stat("/tmp/archived");
    assert.deepEqual(
      [mode, uid, modified?.getTime()],
      [0o750, process.getuid?.(), Math.floor(statSync(script).mtimeMs)],
    );
    const out = join(place, "out");
    await fs.copyToHost("/tmp/script", out);
    assert.equal(statSync(out).mode & 0o7777, 0o700);
    assert.equal(readFileSync(out, "utf8"), "#!/bin/sh\necho run\n");
    // What the user has there keeps its mode, and a link leads where the user has said.
    chmodSync(out, 0o640);
    symlinkSync("out", join(place, "out-link"));
    await fs.copyToHost("/proc/version", join(place, "out-link"));
    assert.match(readFileSync(out, "utf8"), /^Linux/);
    assert.equal(statSync(out).mode & 0o7777, 0o640);
    assert.ok(lstatSync(join(place, "out-link")).isSymbolicLink());
    await fs.copyToHost("/proc/version", "/dev/null");
    assert.ok(lstatSync("/dev/null").isCharacterDevice());
  });

  test("what cannot be copied is refused, and leaves nothing", async () => {
    const before = readdirSync(place).toSorted();
    await assert.rejects(fs.copyFromHost(join(place, "missing"), "/tmp/x"), IoError);
    await assert.rejects(fs.copyFromHost("/dev/null", "/tmp/x"), IoError);
    await assert.rejects(fs.copyFromHost(join(tree, "file"), "/work"), SandboxFsError);
    await assert.rejects(fs.copyFromHost(join(tree, "file"), "/missing/x"), SandboxFsError);
    await assert.rejects(fs.copyFromHost(tree, "/tmp/script"), SandboxFsError);
    await assert.rejects(fs.copyToHost("/missing", join(place, "x")), SandboxFsError);
    await assert.rejects(fs.copyToHost("/work", join(place, "missing/x")), IoError);
    await assert.rejects(fs.copyToHost("/work/file", tree), IoError);
    await assert.rejects(fs.copyToHost("/work", join(place, "out")), IoError);
    await assert.rejects(fs.copyToHost("/dev/zero", join(place, "x")), IoError);
    assert.deepEqual(readdirSync(place).toSorted(), before);
    assert.equal(await fs.exists("/tmp/x"), false);
  });

  test("a file without an end that says it is small is named, and all else is copied", async () => {
    await sandbox.shell("mkdir /endless; cd /endless; ln -s /proc/1/pagemap pagemap; echo fine > file");
    const endless = join(place, "endless");
    await assert.rejects(fs.copyToHost("/endless", endless, { followSymlinks: true }), (error) => {
      assert.deepEqual(refusedPaths(error), ["pagemap"]);
      assert.match(String(error), /too large/i);
      return true;
    });
    assert.deepEqual(readdirSync(endless), ["file"]);
  });

  test("devices, pipes and sockets are named, and all else is copied", async () => {
    await sandbox.shell("mkdir /special; cd /special; mkfifo pipe; mknod device c 1 3; echo fine > file");
    await sandbox.shell("cd /special; mkdir suid; echo x > suid/x; chmod 6755 suid/x");
    const special = join(place, "special");
    await assert.rejects(fs.copyToHost("/special", special), (error) => {
      assert.deepEqual(refusedPaths(error), ["device", "pipe"]);
      return true;
    });
    assert.deepEqual(readdirSync(special).toSorted(), ["file", "suid"]);
    assert.equal(statSync(join(special, "suid/x")).mode & 0o7777, 0o755);
    execFileSync("mkfifo", [join(special, "host-pipe")]);
    await assert.rejects(fs.copyFromHost(special, "/special-back"), (error) => {
      assert.deepEqual(refusedPaths(error), ["host-pipe"]);
      return true;
    });
    assert.equal(await fs.readToString("/special-back/file"), "fine\n");
  });

  test("nothing of the guest's leads out of the directory that was named, whatever stands there", async () => {
    const outside = join(place, "outside");
    const named = join(place, "named");
    mkdirSync(outside);
    mkdirSync(named);
    writeFileSync(join(outside, "kept"), "kept");
    // As an earlier copy may have left them.
    symlinkSync(outside, join(named, "dir"));
    symlinkSync(join(outside, "kept"), join(named, "file"));
    await sandbox.shell(
      "mkdir -p /evil/dir; cd /evil; echo evil > dir/evil; echo evil > file; ln -s ../outside link",
    );
    await assert.rejects(fs.copyToHost("/evil", named), (error) => {
      assert.deepEqual(refusedPaths(error), ["dir", "dir/evil"]);
      return true;
    });
    assert.deepEqual(readdirSync(outside), ["kept"]);
    assert.equal(readFileSync(join(outside, "kept"), "utf8"), "kept");
    assert.equal(readFileSync(join(named, "file"), "utf8"), "evil\n");
    // The link that the guest has brought is not followed the next time either.
    await sandbox.shell("rm /evil/link; mkdir /evil/link; echo evil > /evil/link/evil");
    await assert.rejects(fs.copyToHost("/evil", named), PartialCopyError);
    assert.deepEqual(readdirSync(outside), ["kept"]);
  });

  test("links that are planted while a directory is copied lead nobody out", async () => {
    await sandbox.shell(
      "mkdir -p /race/a/b; echo inside > /race/a/b/file; mkdir /elsewhere; echo secret > /elsewhere/file",
    );
    const racing = await sandbox.shellStream(
      "while true; do mv /race/a/b /race/b; ln -s /elsewhere /race/a/b; rm /race/a/b; mv /race/b /race/a/b; done",
    );
    for (let round = 0; round < 20; round++) {
      const raced = join(place, "raced");
      // What was there at the one moment and not at the next is told.
      await fs.copyToHost("/race", raced).catch((error: unknown) => {
        assert.ok(error instanceof PartialCopyError, String(error));
      });
      for (const [path, text] of contents(raced)) assert.ok(!text.includes("secret"), path);
      rmSync(raced, { recursive: true });
    }
    // The other way round: nothing is removed where a link leads.
    for (let round = 0; round < 20; round++) {
      await fs.mkdir("/race/a/b/c").catch(() => undefined);
      await fs.removeDir("/race/a/b").catch(() => undefined);
      assert.ok(await fs.exists("/elsewhere/file"));
      await fs.mkdir("/race/a/b").catch(() => undefined);
    }
    await racing.kill();
  });

  test("a full disk of the guest is told, and what was being written is not there", async () => {
    await sandbox.shell("mkdir /small; mount -t tmpfs -o size=1m small /small");
    writeFileSync(join(place, "two"), Buffer.alloc(2 << 20, "x"));
    for (const call of [
      () => fs.copyFromHost(join(place, "two"), "/small/two"),
      () => fs.write("/small/two", Buffer.alloc(2 << 20)),
    ]) {
      await assert.rejects(
        call(),
        (error) => error instanceof SandboxFsError && error.errnoName === "ENOSPC",
      );
      assert.equal(await fs.exists("/small/two"), false);
    }
    assert.deepEqual(await fs.list("/small"), []);
    await sandbox.shell("umount /small");
  });

  test("a copy that is given up ends in both places", async () => {
    writeFileSync(join(place, "big"), Buffer.alloc(32 << 20, "b"));
    const inward = new AbortController();
    await assert.rejects(
      fs.copyFromHost(join(place, "big"), "/tmp/big", {
        signal: inward.signal,
        onProgress: () => {
          inward.abort(new Error("enough"));
        },
      }),
      { message: "enough" },
    );
    assert.equal(await fs.exists("/tmp/big"), false);
    await fs.copyFromHost(join(place, "big"), "/tmp/big");
    const outward = new AbortController();
    await assert.rejects(
      fs.copyToHost("/tmp/big", join(place, "big-back"), {
        signal: outward.signal,
        onProgress: () => {
          outward.abort(new Error("enough"));
        },
      }),
      { message: "enough" },
    );
    assert.deepEqual(
      readdirSync(place).filter((name) => name.startsWith(".msb") || name === "big-back"),
      [],
    );
  });

  test("64 copies at once, both ways", async () => {
    const numbers = Array.from({ length: 64 }, (_, number) => number);
    await fs.mkdir("/many");
    await Promise.all(numbers.map((number) => fs.copyFromHost(join(tree, "deep"), `/many/${number}`)));
    await Promise.all(
      numbers.map((number) => fs.copyToHost(`/many/${number}`, join(place, `many-${number}`))),
    );
    const expected = contents(join(tree, "deep"));
    for (const number of numbers) assert.deepEqual(contents(join(place, `many-${number}`)), expected);
  });

  test("thousands of small files go in one stream each way", async () => {
    const small = join(place, "small");
    for (let directory = 0; directory < 20; directory++) {
      mkdirSync(join(small, String(directory)), { recursive: true });
      for (let file = 0; file < 100; file++)
        writeFileSync(join(small, `${directory}/${file}`), `${directory} ${file}`);
    }
    await fs.copyFromHost(small, "/small-files");
    await fs.copyToHost("/small-files", join(place, "small-back"));
    assert.deepEqual(contents(join(place, "small-back")), contents(small));
  });
});
