import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  ChangesConflictError,
  InvalidConfigError,
  PartialCopyError,
  Sandbox,
  SandboxStillRunningError,
  type SandboxChange,
  type SandboxHandle,
} from "../../../src/index.ts";
import { settled, snapshot } from "../../support/overlay-guest.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { output } from "../images/root-support.ts";
import { processesGone, processOf, timeout } from "../lifecycle-support.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

// A directory of the host's that the guest sees, with a layer that takes what it writes.

const home = new MsbHome();
process.env["MSB_HOME"] = home.path;
process.env["MSB_ACCEL"] = "tcg";
const host = (...names: readonly string[]): string => join(home.path, "host", ...names);
const name = "overlay";
const bigBytes = 8 << 20;

let sandbox: Sandbox;
before(async () => {
  mkdirSync(host("sub/deep"), { recursive: true });
  for (const path of ["a", "b", "c", "sub/d", "sub/deep/e"]) writeFileSync(host(path), `${path}\n`);
  writeFileSync(host("big"), Buffer.alloc(bigBytes, "old "));
  mkdirSync(join(home.path, "outside"));
  writeFileSync(join(home.path, "outside/secret"), "secret\n");
  sandbox = await Sandbox.builder(name)
    .image("localhost/base")
    .memory(256)
    .volume("/work", (m) => m.bind(host()).overlay())
    .create();
});
after(async () => {
  await sandbox[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

/** `C path`, with a `!` for a conflict. */
async function changes(of: Sandbox | SandboxHandle = sandbox, path = "/work"): Promise<string[]> {
  const found: SandboxChange[] = [];
  for await (const change of of.changes(path)) found.push(change);
  return found.map(
    ({ kind, path: at, conflicts }) => `${kind.slice(0, 1).toUpperCase()}${conflicts ? "!" : ""} ${at}`,
  );
}

test("the guest writes, the host's directory stays, and a restart keeps it", { timeout }, async () => {
  assert.equal(sandbox.startReport?.route === "cold", false, "it starts from a template");
  const victims = snapshot(host());
  const script = `
    set -e; cd /work; cat a; echo more >> a; rm b; mv c moved; chmod 600 sub/d; rm -r sub/deep; mkdir sub/deep; echo new > sub/deep/new
    mkdir made; ln -s ../a made/link; ln a made/hard; mkfifo made/pipe; touch "made/$(printf 'x%.0s' $(seq 255))"; touch "made/$(printf '\\377')"
    if mv sub other 2>/dev/null; then ls other; mv other sub; fi; cat made/hard; ls`;
  assert.deepEqual((await output(sandbox, script)).split("\n"), [
    ...["a", "d", "deep", "a", "more"],
    ...["a", "big", "made", "moved", "sub"],
  ]);
  assert.deepEqual(snapshot(host()), victims);
  const seen = await changes();
  await sandbox.stop();
  assert.deepEqual(snapshot(host()), victims);
  assert.deepEqual(await changes(await Sandbox.get(name)), seen);
  assert.deepEqual(seen.slice(0, 6), ["C a", "D b", "D c", "A made", "A made/hard", "A made/link"]);
  assert.ok(seen.includes(`A made/${"x".repeat(255)}`) && seen.includes("A made/\uFFFD"));
  sandbox = await Sandbox.start(name);
  assert.deepEqual(await changes(), seen);
  assert.equal(await output(sandbox, "cat /work/made/hard; ls /work/sub/deep"), "a\nmore\nnew");
});

test("chosen changes are applied while it runs, and the guest sees the same", { timeout }, async () => {
  const before = snapshot(host());
  const progress: number[] = [];
  assert.deepEqual(await sandbox.applyChanges("/work", { paths: ["a"], dryRun: true }), {
    entries: 1,
    bytes: 7,
  });
  assert.deepEqual(snapshot(host()), before);
  const chosen = {
    paths: ["a", "b", "sub/d"],
    onProgress: ({ entries }: { entries: number }) => progress.push(entries),
  };
  assert.deepEqual(await sandbox.applyChanges("/work", chosen), { entries: 3, bytes: 13 });
  assert.equal(progress.at(-1), 3);
  assert.equal(readFileSync(host("a"), "utf8"), "a\nmore\n");
  assert.equal(existsSync(host("b")), false);
  assert.equal(statSync(host("sub/d")).mode & 0o777, 0o600);
  assert.equal(await output(sandbox, "cat /work/a; ls /work"), "a\nmore\na\nbig\nmade\nmoved\nsub");
  for (const path of ["a", "b", "sub/d"])
    assert.ok(!(await changes()).some((line) => line.endsWith(` ${path}`)));
  await assert.rejects(sandbox.applyChanges("/work", { paths: ["a"] }), InvalidConfigError);
  for (const paths of [["../outside"], ["/etc"], [""], ["x/./y"], "a"])
    await assert.rejects(sandbox.applyChanges("/work", { paths } as never), InvalidConfigError);
  await assert.rejects(changes(sandbox, "/etc"), InvalidConfigError);
  await assert.rejects(sandbox.discardChanges("/work"), SandboxStillRunningError);
  const error: unknown = await sandbox
    .applyChanges("/work", { filter: ({ path }) => path.startsWith("made") })
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof PartialCopyError, String(error));
  assert.deepEqual(
    error.refused.map(({ path }) => path),
    ["made/pipe"],
  );
  assert.equal(readlinkSync(host("made/link")), "../a");
  assert.ok(readdirSync(host("made"), { encoding: "latin1" }).includes("\xff"));
});

test("what the host changes shows in the guest, and is not overwritten", { timeout }, async () => {
  await output(sandbox, "cat /work/sub/d; ls /work/sub; cat /work/made/hard; ! stat /work/later 2>/dev/null");
  await settled(host("sub/d"));
  await output(sandbox, "echo guest >> /work/sub/d; echo guest > /work/both");
  writeFileSync(host("aside"), "host\n");
  renameSync(host("aside"), host("sub/d"));
  writeFileSync(host("both"), "host\n");
  writeFileSync(host("later"), "later\n");
  await eventually("the guest to see the host's new file", async () =>
    (await output(sandbox, "cat /work/later 2>/dev/null || true")) === "later" ? true : null,
  );
  assert.equal(await output(sandbox, "cat /work/both"), "guest");
  const before = snapshot(host());
  const error: unknown = await sandbox.applyChanges("/work").catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ChangesConflictError, String(error));
  assert.deepEqual(error.conflicts, ["both", "sub/d"]);
  assert.equal(error.conflictCount, 2);
  assert.deepEqual(snapshot(host()), before, "nothing was written");
  await sandbox.applyChanges("/work", { filter: ({ conflicts, type }) => !conflicts && type !== "other" });
  assert.equal(existsSync(host("sub/deep/e")), false);
  assert.deepEqual(await changes(), ["C! both", "A made/pipe", "C! sub/d"]);
});

test("root in the guest reaches nothing but its layer", { timeout }, async () => {
  const outside = snapshot(join(home.path, "outside"));
  const before = snapshot(host());
  const script = `
    cd /work; mkdir evil; cd evil
    mknod whiteout c 0 0; mknod disk b 254 0; ln -s ${home.path}/outside out; ln -s /proc/self/root/etc/passwd up; ln -s / root
    echo x > out/planted; cat out/secret up root/work/../../etc/shadow
    for each in user.msb.stat user.msb.probe trusted.overlay.opaque user.overlay.opaque user.overlay.redirect; do setfattr -n $each -v y . ; done
    ln -s ${home.path}/outside swap; rm swap; mkdir swap; touch swap/secret; rm -r swap; ln -s ${home.path}/outside swap
    mkdir dir; touch dir/secret; mv dir was; ln -s ${home.path}/outside dir
    mount -o remount,rw /work; umount /work/evil; ls /work/../../..; true`;
  await output(sandbox, `(${script}) >/dev/null 2>&1; ls /work/evil >/dev/null`);
  assert.deepEqual(snapshot(join(home.path, "outside")), outside);
  assert.deepEqual(snapshot(host()), before);
  const error: unknown = await sandbox
    .applyChanges("/work", { paths: ["evil"] })
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof PartialCopyError, String(error));
  assert.deepEqual(error.refused.map(({ path }) => path).sort(), ["evil/disk", "evil/whiteout"]);
  assert.deepEqual(snapshot(join(home.path, "outside")), outside);
  assert.equal(readlinkSync(host("evil/dir")), join(home.path, "outside"));
  assert.deepEqual(readdirSync(host("evil/was")), ["secret"]);
  await output(sandbox, "rm -r /work/evil");
});

test("two sandboxes over one directory do not meet", { timeout }, async () => {
  await using other = await Sandbox.builder("other")
    .image("localhost/base")
    .memory(256)
    .volume("/here", (m) => m.bind(host()).overlay().owner(1000, 1000).noexec())
    .create();
  assert.equal(
    await output(other, "cat /here/both; stat -c %u /here/a; echo other > /here/a; cat /here/a"),
    "host\n1000\nother",
  );
  assert.equal(await output(sandbox, "cat /work/a"), "a\nmore");
  assert.deepEqual(await changes(other, "/here"), ["C a"]);
});

test(
  "a sandbox that is killed in the middle of writing loses nothing of its layer",
  { timeout },
  async () => {
    for (const kind of ["qemu", "supervisor"] as const) {
      const writer =
        "cd /work/sub; each=0; while :; do echo $each > new; mv new file-$each; rm -f file-$((each - 20)); echo $each; each=$((each + 1)); done";
      const handle = await sandbox.execStream("sh", ["-c", writer]);
      let said = "";
      const ended = (async () => {
        for await (const event of handle) if (event.kind === "stdout") said += event.data.toString();
      })().catch(() => undefined);
      await eventually("some files to be written", () =>
        Promise.resolve(said.split("\n").length > 20 ? true : null),
      );
      process.kill(await processOf(home.path, name, kind), "SIGKILL");
      await ended;
      await processesGone(home.path, name);
      const last = Number(said.split("\n").at(-2));
      const found = (await changes(await Sandbox.get(name))).filter((line) => line.includes("file-"));
      assert.ok(found.length >= 2 && found.length <= 23, found.join());
      assert.ok(found.includes(`A sub/file-${String(last)}`), `${String(last)}: ${found.join()}`);
      sandbox = await Sandbox.start(name);
      assert.equal(
        await output(sandbox, `cat /work/sub/file-${String(last)}; rm -f /work/sub/file-* /work/sub/new`),
        String(last),
      );
    }
  },
);

test(
  "a program that is killed while it applies leaves the old file or the new one",
  { timeout },
  async () => {
    await output(sandbox, `yes new | head -c ${String(bigBytes)} > /work/big; sync`);
    const library = fileURLToPath(new URL("../../../dist/index.js", import.meta.url));
    // Stopped at a place in the middle, it is killed there.
    for (const stopsAt of [1 << 20, bigBytes, Infinity]) {
      const script = `
      import { writeSync } from "node:fs";
      import { Sandbox } from ${JSON.stringify(library)};
      const onProgress = ({ bytes }) => {
        if (bytes < ${String(stopsAt)}) return;
        writeSync(1, "here");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      };
      await (await Sandbox.get(${JSON.stringify(name)})).applyChanges("/work", { paths: ["big"], onProgress });`;
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      child.stdout.once("data", () => child.kill("SIGKILL"));
      const killed = stopsAt !== Infinity;
      const [code] = (await once(child, "close")) as [number | null];
      assert.equal(code, killed ? null : 0);
      const content = readFileSync(host("big"), "latin1");
      assert.equal(content.length, bigBytes);
      const word = content.slice(0, 4);
      assert.equal(word, killed ? "old " : "new\n");
      assert.equal(content, word.repeat(bigBytes / 4));
    }
    assert.ok(!(await changes()).some((line) => line.endsWith(" big")));
    assert.deepEqual(
      readdirSync(host()).filter((each) => each.startsWith(".")),
      [],
      "nothing is left aside",
    );
  },
);

test("on the command line", { timeout }, async () => {
  await output(sandbox, "echo cli > /work/cli; rm /work/a");
  const msb = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await home.start(args).result;
    return `${String(code)} ${stdout}${stderr}`;
  };
  assert.match(await msb("inspect", name), /\/work → .*host \(rw, overlay\)/);
  assert.equal(
    await msb("diff", name),
    "0 D /work/a\nC /work/both (conflict)\nA /work/cli\nD /work/evil\nA /work/made/pipe\nC /work/sub/d (conflict)\n",
  );
  assert.equal(await msb("diff", `${name}:/work/sub`), "0 C /work/sub/d (conflict)\n");
  const [first] = JSON.parse((await msb("diff", name, "--format", "json")).slice(2)) as [object];
  assert.deepEqual(first, {
    path: "/work/a",
    kind: "deleted",
    type: "file",
    size: 7,
    mode: 0o644,
    conflicts: false,
  });
  assert.match(await msb("apply", name, "-y"), /^1 .*conflict \/work\/both\nconflict \/work\/sub\/d\n$/s);
  assert.match(await msb("apply", `${name}:/work/sub`, "-y"), /^1 .*conflict \/work\/sub\/d\n$/s);
  assert.match(await msb("apply", name, "cli", "--dry-run"), /^0 .*Would apply/s);
  assert.equal(existsSync(host("cli")), false);
  assert.match(await msb("apply", name, "/work/cli"), /nobody to ask/);
  assert.match(await msb("apply", name, "/work/cli", "a", "-y"), /^0 .*Applied.*2 changes/s);
  assert.equal(readFileSync(host("cli"), "utf8"), "cli\n");
  assert.match(await msb("apply", name, "/etc", "-y"), /is not in \/work/);
  assert.match(await msb("discard", name, "-y"), /^1 .*running/s);
  await sandbox.stop();
  assert.match(await msb("discard", `${name}:/work`, "sub/d", "both", "-y"), /^0 .*2 changes/s);
  assert.equal(await msb("diff", name), "0 D /work/evil\nA /work/made/pipe\n");
  assert.match(await msb("discard", name, "-q", "-y"), /^0 $/);
  assert.equal(await msb("diff", name), "0 ");
  sandbox = await Sandbox.start(name);
  assert.equal(
    await output(sandbox, "cat /work/both /work/sub/d /work/cli; ls /work/evil"),
    "host\nhost\ncli\ndir\nout\nroot\nswap\nup\nwas",
  );
});

test("what cannot be is refused before anything starts", { timeout }, async () => {
  const made = Sandbox.builder("refused").image("localhost/base");
  await assert.rejects(made.volume("/f", (m) => m.bind(host("cli")).overlay()).create(), /is a file/);
  await sandbox.stop();
  renameSync(host(), `${host()}-gone`);
  await assert.rejects(Sandbox.start(name), InvalidConfigError);
  await assert.rejects(changes(await Sandbox.get(name)), InvalidConfigError);
  renameSync(`${host()}-gone`, host());
  appendFileSync(host("cli"), "again\n");
  sandbox = await Sandbox.start(name);
  assert.equal(await output(sandbox, "cat /work/cli"), "cli\nagain");
});
