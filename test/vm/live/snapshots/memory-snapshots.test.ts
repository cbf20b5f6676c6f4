import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
  readSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  Image,
  InvalidConfigError,
  IoError,
  NetworkPolicy,
  Sandbox,
  SandboxNotRunningError,
  Snapshot,
  SnapshotIncompatibleError,
  SnapshotIntegrityError,
  UnsupportedOperationError,
} from "../../../../src/index.ts";
import { locateHome } from "../../../../src/store/home.ts";
import { descriptorText, newDescriptor, readDescriptor } from "../../../../src/store/snapshots/descriptor.ts";
import { MsbHome } from "../../cli/cli-support.ts";
import { mountingSkip, mountSmallDisk, unmountSmallDisk } from "../../failures/small-disk.ts";
import { runProgram, smallMemory, timeout } from "../../lifecycle-support.ts";
import { eventually, printed, useTemporaryHome } from "../../support.ts";
import type { Needs } from "../../tags.ts";

export const needs: Needs = ["running"];

// Snapshots with memory: sandboxes that begin with one go on where it was taken.
const home = useTemporaryHome();
const snapshots = join(home, "snapshots");
const cli = new MsbHome({ path: home });
const secretValue = "value-that-is-nowhere-5f0c7a";

let source: Sandbox;
let snapshot: Snapshot;

before(
  async () => {
    source = await Sandbox.builder("source")
      .image("localhost/base")
      .memory(smallMemory)
      .rootDisk(64)
      .env("GREETING", "hello")
      .label("stage", "test")
      .secretEnv("API_KEY", secretValue, "api.example.com")
      .port(0, 80)
      .createDetached();
    await source.shell("head -c 6000000 /dev/urandom > /dev/shm/bytes; md5sum /dev/shm/bytes > /dev/shm/sum");
    await source.shell("echo before > /root/note");
    const counter = await source.execStream("sh", [
      "-c",
      "n=0; while :; do n=$((n + 1)); echo $n | tee /tmp/n; sleep 0.05; done",
    ]);
    await printed(counter);
    snapshot = await Snapshot.builder("moment")
      .fromSandbox(source)
      .full()
      .guestFlush("required")
      .recordIntegrity()
      .label("a", "b")
      .create();
  },
  { timeout },
);

const secrets = { API_KEY: "another-value" };
const said = async (sandbox: Sandbox, script: string): Promise<string> =>
  (await sandbox.shell(script)).stdout().trim();
const count = async (sandbox: Sandbox): Promise<number> => Number(await said(sandbox, "cat /tmp/n"));
const identity = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | md5sum";

async function goesOn(sandbox: Sandbox): Promise<void> {
  assert.equal((await sandbox.shell("md5sum -c /dev/shm/sum")).code, 0);
  const from = await count(sandbox);
  await eventually("the counter to go on", async () => ((await count(sandbox)) > from ? true : null));
}

test("it says what it is, and no value of a secret is in it", { timeout }, async () => {
  assert.deepEqual(
    [snapshot.scope, snapshot.labels, snapshot.sourceSandbox],
    ["full", [["a", "b"]], "source"],
  );
  assert.equal(snapshot.memory?.sizeBytes, BigInt(smallMemory) * 1024n * 1024n);
  assert.deepEqual([snapshot.memory.cpus, snapshot.memory.secrets], [1, ["API_KEY"]]);
  assert.equal((await snapshot.verify()).upper.kind, "verified");
  assert.deepEqual(readdirSync(snapshots), ["moment"]);
  const files = readdirSync(snapshot.path).sort();
  assert.deepEqual(files, ["devices", "memory", "snapshot.json", "upper.ext4"]);
  for (const file of files) assert.ok(!readFileSync(join(snapshot.path, file)).includes(secretValue), file);
  const listed = await cli.msb("snapshot", "ls");
  assert.match(listed.stdout, /SCOPE[^]*moment.* full /);
  assert.match(
    (await cli.msb("snapshot", "inspect", "moment")).stdout,
    /Goes on with: QEMU .*, tcg; kernel /,
  );
});

test("two at once go on with memory, programs and files, each its own", { timeout }, async () => {
  const names = ["one", "two"];
  const children = await Promise.all(
    names.map((name) =>
      Sandbox.restore(snapshot)
        .name(name)
        .secrets(secrets)
        .env("MORE", name)
        .label("child", name)
        .networkPolicy(NetworkPolicy.none())
        .restore(),
    ),
  );
  const identities = new Set<string>();
  for (const [at, child] of children.entries()) {
    assert.equal(child.startReport?.route, "continued");
    await goesOn(child);
    assert.equal(await said(child, "cat /root/note; echo $GREETING $MORE"), `before\nhello ${names[at]}`);
    for (const line of (await said(child, identity)).split("\n")) identities.add(line);
    const { labels, ports, network } = child.config;
    assert.deepEqual(
      [labels, ports, network?.policy],
      [{ stage: "test", child: names[at] }, [], NetworkPolicy.none()],
    );
    // What is not kept by the snapshot is kept by the sandbox.
    assert.equal(child.config.secrets[0]?.source.kind, "stored");
    await child.shell(`echo ${names[at]} > /root/note; sync`);
  }
  assert.equal(identities.size, 6, "two names, machine ids and random numbers");
  assert.equal(await said(source, "cat /root/note"), "before");
  await goesOn(source);
  for (const child of children) await child.destroy();
});

test("what cannot be otherwise is refused, and nothing is left", { timeout }, async () => {
  const restore = (): ReturnType<typeof Sandbox.restore> =>
    Sandbox.restore("moment").name("refused").secrets(secrets);
  await assert.rejects(restore().cpus(2).restore(), UnsupportedOperationError);
  await assert.rejects(restore().memory(512).restore(), /128.*512/);
  await assert.rejects(restore().disableNetwork().restore(), UnsupportedOperationError);
  await assert.rejects(restore().volume("/data").restore(), UnsupportedOperationError);
  await assert.rejects(restore().allowMissingResources().restore(), UnsupportedOperationError);
  await assert.rejects(restore().externalMountPolicy("relaxed").restore(), UnsupportedOperationError);
  await assert.rejects(Sandbox.restore("moment").name("refused").restore(), /API_KEY.*no value/);
  await assert.rejects(restore().secrets({ OTHER: "x" }).restore(), InvalidConfigError);
  await assert.rejects(Sandbox.restore("moment").secrets(secrets).restore(), /no name/);
  const begin = (): ReturnType<typeof Sandbox.builder> => Sandbox.builder("refused").fromSnapshot("moment");
  await assert.rejects(begin().secretEnv("B", "x", "b.example.com").create(), UnsupportedOperationError);
  await assert.rejects(begin().script("x", "y").create(), UnsupportedOperationError);
  await assert.rejects(
    begin()
      .volume("/x", (m) => m.tmpfs())
      .create(),
    UnsupportedOperationError,
  );
  assert.deepEqual(readdirSync(join(home, "sandboxes")), ["source"]);
  await assert.rejects(Snapshot.builder("x").fromSandbox("missing").full().create(), /missing/);
  const mounted = await Sandbox.builder("mounted")
    .image("localhost/base")
    .memory(smallMemory)
    .volume("/host", (m) => m.bind(home).readonly())
    .create();
  await assert.rejects(Snapshot.builder("x").fromSandbox(mounted).full().create(), UnsupportedOperationError);
  await mounted.stop();
  await assert.rejects(Snapshot.builder("x").fromSandbox(mounted).full().create(), SandboxNotRunningError);
  await Sandbox.remove("mounted");
  assert.deepEqual(readdirSync(snapshots), ["moment"]);
});

test("a paused sandbox stays paused, and its source may be gone", { timeout }, async () => {
  const other = await Sandbox.restore("moment").name("other").secrets(secrets).restore();
  await other.pause();
  const child = await Snapshot.builder("later").fromSandbox(other).full().create();
  assert.equal(child.parent, snapshot.digest);
  assert.equal((await Sandbox.get("other")).status, "paused");
  await (await Sandbox.get("other")).destroy();
  const archive = join(home, "later.tar.zst");
  await Snapshot.export("later", archive, { withParents: true });
  await Snapshot.remove("later");
  await Snapshot.remove("moment");
  assert.equal((await Snapshot.import(archive)).digest, child.digest);
  assert.deepEqual(readdirSync(snapshots).sort(), ["later", "moment"]);
  assert.equal((await (await Snapshot.open("moment")).verify()).digest, snapshot.digest);
  process.env["API_KEY"] = "from-the-environment";
  const made = await cli
    .msb("restore", "later", "--name", "again", "-e", "X=1")
    .finally(() => delete process.env["API_KEY"]);
  assert.equal(made.code, 1, "the variable is not in its environment");
  cli.environment["API_KEY"] = "from-the-environment";
  const restored = await cli.msb("restore", "later", "--name", "again", "-q");
  assert.deepEqual([restored.code, restored.stdout, restored.stderr], [0, "", ""]);
  const again = await (await Sandbox.get("again")).connect();
  await goesOn(again);
  // It is an ordinary sandbox from now on.
  await again.suspend();
  await goesOn(await Sandbox.start("again"));
  await (await Sandbox.get("again")).destroy();
});

test("it boots from the disk alone, with other resources", { timeout }, async () => {
  const booted = await Sandbox.restore("moment")
    .name("booted")
    .secrets(secrets)
    .diskOnly()
    .cpus(2)
    .disableNetwork()
    .restore()
    .catch((error: unknown) => error);
  assert.ok(booted instanceof InvalidConfigError, "there are secrets, and no network");
  const sandbox = await Sandbox.restore("moment")
    .name("booted")
    .secrets(secrets)
    .diskOnly()
    .cpus(2)
    .restore();
  assert.notEqual(sandbox.startReport?.route, "continued");
  assert.equal(await said(sandbox, "cat /root/note; nproc; echo $GREETING; ls /dev/shm"), "before\n2\nhello");
  await sandbox.destroy();
});

/** A copy of the snapshot, with something changed. */
function changed(name: string, change: (directory: string) => void): string {
  const directory = join(home, "changed", name);
  mkdirSync(join(home, "changed"), { recursive: true });
  cpSync(snapshot.path, directory, { recursive: true });
  change(directory);
  return directory;
}

function flip(path: string, at: number): void {
  const file = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
}

test("damaged and foreign ones are refused", { timeout }, async () => {
  const begin = (path: string): Promise<Sandbox> =>
    Sandbox.restore(path).name("damaged").secrets(secrets).restore();
  for (const [file, at] of [
    ["memory", 5_000_000],
    ["devices", 1000],
    ["upper.ext4", 2_000_000],
  ] as const) {
    const path = changed(`flipped-${file}`, (directory) => {
      flip(join(directory, file), at);
    });
    await assert.rejects((await Snapshot.open(path)).verify(), SnapshotIntegrityError, file);
    const short = changed(`short-${file}`, (directory) => {
      truncateSync(join(directory, file), 4096);
    });
    await assert.rejects(begin(short), SnapshotIntegrityError, file);
  }
  const gone = changed("gone", (directory) => {
    rmSync(join(directory, "devices"));
  });
  await assert.rejects(begin(gone), SnapshotIntegrityError);
  const described = changed("described", (directory) => {
    const text = readFileSync(join(directory, "snapshot.json"), "utf8");
    writeFileSync(join(directory, "snapshot.json"), text.replace('"GREETING"', '"FAREWELL"'));
  });
  await assert.rejects(begin(described), SnapshotIntegrityError);
  const read = await readDescriptor(snapshot.path);
  const memory = read?.descriptor.memory ?? null;
  assert.ok(read !== null && memory !== null);
  const foreign = (name: string, other: Partial<typeof memory>): string =>
    changed(name, (directory) => {
      const text = descriptorText(newDescriptor(read.descriptor, { ...memory, ...other }));
      writeFileSync(join(directory, "snapshot.json"), text);
    });
  const { guest, config } = memory;
  const qemu = { ...guest, description: { ...guest.description, qemuVersion: "0.9.1" } };
  await assert.rejects(begin(foreign("qemu", { guest: qemu })), (error: Error & { hint?: string }) => {
    assert.ok(error instanceof SnapshotIncompatibleError, String(error));
    assert.match(error.message, /QEMU was 0\.9\.1, and is \d/);
    assert.match(error.hint, /diskOnly/);
    return true;
  });
  await assert.rejects(
    begin(foreign("key", { guest: { ...guest, machineKey: "x" } })),
    SnapshotIncompatibleError,
  );
  // What somebody else says reaches nothing of this host.
  const mounts = [{ kind: "disk", guest: "/x", path: "/etc/passwd", readonly: true }] as never;
  await assert.rejects(begin(foreign("mounts", { config: { ...config, mounts } })));
  assert.deepEqual(readdirSync(join(home, "sandboxes")), ["source"]);
  rmSync(join(home, "changed"), { recursive: true });
});

test("whoever is killed while it is made leaves none, and the sandbox runs", { timeout }, async (t) => {
  for (const ms of [30, 120, 250]) {
    const program = runProgram(
      t,
      `const { Snapshot } = await import(${JSON.stringify(new URL("../../../../src/index.ts", import.meta.url).href)});
       const made = Snapshot.builder("killed").fromSandbox("source").full().recordIntegrity().force().create();
       setTimeout(() => process.kill(process.pid, "SIGKILL"), ${ms});
       await made;`,
    );
    await program.ended;
    await goesOn(source);
  }
  const left = (await Snapshot.list()).filter(({ name }) => name === "killed");
  for (const each of left) assert.equal((await (await each.open()).verify()).upper.kind, "verified");
  await Snapshot.builder("killed").fromSandbox("source").full().force().create();
  await Snapshot.remove("killed");
  assert.deepEqual(readdirSync(snapshots).sort(), ["later", "moment"]);
});

test("a disk that is full leaves none, and the sandbox runs", { timeout, skip: mountingSkip }, async (t) => {
  const small = mkdtempSync(join(tmpdir(), "msb-small-"));
  await mountSmallDisk(small, "size=6m");
  t.after(async () => {
    await unmountSmallDisk(small);
    rmSync(small, { recursive: true });
  });
  await assert.rejects(Snapshot.builder("full").fromSandbox(source).full().destDir(small).create(), IoError);
  assert.deepEqual(readdirSync(small), []);
  await goesOn(source);
});

test("nobody prunes the image of one", { timeout }, async () => {
  await source.destroy();
  await Image.prune();
  assert.equal((await Snapshot.open("moment")).imageRef, "localhost/base");
  const last = await Sandbox.builder("last")
    .fromSnapshot("later")
    .create()
    .catch((error: unknown) => error);
  assert.ok(last instanceof InvalidConfigError, "its secret has no value");
  assert.deepEqual(readdirSync(locateHome().sandboxes), []);
});
