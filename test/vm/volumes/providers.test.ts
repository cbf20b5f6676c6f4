import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import {
  InvalidConfigError,
  memory,
  Mount,
  readOnly,
  Sandbox,
  union,
  UnsupportedOperationError,
  type FileProvider,
  type ProviderFailure,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { msbProgram } from "../cli/cli-support.ts";
import { output } from "../images/root-support.ts";
import { runProgram } from "../lifecycle-support.ts";
import { eventually, printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
const at = (...names: readonly string[]): string => join(home, ...names);
const small = (name: string): SandboxBuilder => Sandbox.builder(name).image("localhost/base").memory(256);
const entries = 5_000;
const text = Buffer.from("well\n");
const failures: (ProviderFailure & { readonly message: string })[] = [];
const onError = ({ message }: Error, failure: ProviderFailure): void => {
  failures.push({ ...failure, message });
};

/** Whose files do what they are called. */
const bad: FileProvider = {
  async stat(path) {
    if (path === "/") return { kind: "directory" };
    if (path === "/hangs-stat") return await new Promise(() => undefined);
    if (path === "/no-size") return { kind: "file", size: NaN };
    return { kind: "file", size: path.startsWith("/lies") ? 4 : text.length };
  },
  async list() {
    return [{ name: "well" }, { name: "a/b" }];
  },
  read(path, _offset, length) {
    if (path === "/throws") throw new RangeError("thrown at once");
    if (path === "/rejects") return Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }));
    if (path.startsWith("/hangs")) return new Promise(() => undefined);
    if (path === "/lies") return Promise.resolve(new Uint8Array(length + 1));
    if (path === "/nothing") return Promise.resolve(undefined as unknown as Uint8Array);
    return Promise.resolve(text.subarray(0, length));
  },
};
const many: FileProvider = {
  async stat(path) {
    return path === "/" ? { kind: "directory" } : { kind: "file" };
  },
  async list() {
    return Array.from({ length: entries }, (_, index) => ({ name: `f${index}`, stat: { kind: "file" } }));
  },
  async read() {
    return new Uint8Array(0);
  },
};
const files = memory({ maxBytes: 32 << 20, files: { "/given/file": "given\n" } });
const kept = memory({ files: { "/file": "kept\n" } });
const upper = memory();

let sandbox: Sandbox;
before(async () => {
  for (const name of ["tree", "tree/inner", "outside", "bound"]) mkdirSync(at(name));
  writeFileSync(at("tree/file"), "of the host\n");
  writeFileSync(at("tree/inner/deep"), "deep\n");
  writeFileSync(at("outside/secret"), "secret\n");
  symlinkSync(at("outside/secret"), at("tree/out"));
  symlinkSync("../outside", at("tree/up"));
  sandbox = await small("providers")
    .volume("/memory", (m) => m.provider(files))
    .volume("/memory/within", (m) => m.provider(kept).readonly().owner(1000, 1001).noexec())
    .volume("/tree", (m) => m.provider(readOnly(at("tree"))))
    .volume("/union", (m) => m.provider(union(upper, readOnly(at("tree")))))
    .volume("/bad", (m) => m.provider(bad, { timeoutMs: 1_500, onError }))
    .volume("/many", (m) => m.provider(many))
    .volume("/bound", (m) => m.bind(at("bound")))
    .workdir("/memory/made/by/workdir")
    .create();
});

const contentOf = async (provider: FileProvider, path: string): Promise<string> => {
  const call = { signal: new AbortController().signal, uid: 0, gid: 0 };
  return Buffer.from(await provider.read(path, 0, 1000, call)).toString();
};

test("files in memory behave as on any file system", async () => {
  const script = `
    set -e; cd /memory; mkdir t; cd t; cat ../given/file
    exec 3<> open; rm open; echo unlinked >&3; cat /proc/self/fd/3; exec 3>&-; ls -A ..
    echo one > a; echo two >> a; cat a
    exec 4< a; echo new > b; mv b a; cat a; cat <&4; exec 4<&-
    (set -C; ! echo z > a) 2>/dev/null && echo exclusive
    dd if=/dev/zero of=holes bs=1 count=1 seek=10000000 2>/dev/null; stat -c '%s %b' holes
    truncate -s 5 holes; stat -c %s holes; rm holes
    touch -d '2001-02-03 04:05:06' a; date -r a +%Y; chown 5:6 a; chmod 4711 a; stat -c '%u:%g %a' a
    name=$(head -c 255 /dev/zero | tr '\\0' x); echo long > $name; cat $name
    mkdir -p deep/er/still; mv deep moved; ls moved/er; rm -r moved; ln -s a link; cat link
    cp /bin/busybox busybox; ./busybox echo mapped; rm busybox; ! ln a hard 2>/dev/null; ! mkfifo pipe 2>/dev/null
    dd if=/dev/urandom of=big bs=64k count=48 2>/dev/null; cp big copy; cmp big copy && echo same; rm big copy
    seq 1 200000 > numbers; cp numbers again; cat again > third
    ! dd if=/dev/zero of=full bs=1M count=40 2>/dev/null; rm full; df -m . | tail -1 | awk '{ print $2 }'
  `;
  assert.deepEqual((await output(sandbox, script)).split("\n"), [
    ...["given", "unlinked", "given", "made", "t", "within", "one", "two", "new", "one", "two", "exclusive"],
    ...["10000001 8", "5", "2001", "5:6 4711", "long", "still", "new", "mapped", "same", "32"],
  ]);
  assert.equal(await contentOf(files, "/t/a"), "new\n");
  // Each byte at its place, there and back: bytes of connections are read into memory that is used again.
  const numbers = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join("");
  for (const name of ["numbers", "third"]) {
    const bytes = await files.read(`/t/${name}`, 0, 2 << 20);
    assert.ok(Buffer.from(bytes).equals(Buffer.from(numbers)), name);
  }
  await output(sandbox, "cd /memory/t; rm numbers again third");
  // What this program changes is seen in the guest.
  await files.write("/t/a", 0, Buffer.from("host"));
  await eventually("the guest to see it", async () =>
    (await output(sandbox, "cat /memory/t/a")) === "host" ? true : null,
  );
});

test("any user of the guest may write, and owners are what was said", async () => {
  const result = await sandbox.execWith("sh", (options) =>
    options.args(["-c", "echo mine > /memory/mine && stat -c %u:%g /memory/mine"]).user("1000:1000"),
  );
  assert.deepEqual([result.code, result.stdout()], [0, "1000:1000\n"]);
  assert.equal(
    await output(sandbox, "stat -c %u:%g /memory/within /memory/within/file"),
    "1000:1001\n1000:1001",
  );
});

test("thousands of entries are listed with their attributes", async () => {
  const [lines, unique] = (await output(sandbox, "cd /many; ls -la | wc -l; ls | sort -u | wc -l")).split(
    "\n",
  );
  assert.deepEqual([Number(lines), Number(unique)], [entries + 3, entries]);
});

test("root in the guest cannot write what is read-only, nor reach what is outside", async () => {
  const script = `
    for d in /tree /memory/within; do
      mount -o remount,rw $d 2>/dev/null; ! echo x > $d/file; ! rm $d/file; ! mkdir $d/new; ! mv $d/file $d/other
      ! chmod 777 $d/file; ! ln -s x $d/link; ! truncate -s 0 $d/file; ! touch $d/file
    done 2>/dev/null
    cat /tree/out /tree/up/secret 2>/dev/null; readlink /tree/up; cat /tree/../tree/inner/deep; cat /memory/within/file
  `;
  assert.equal(await output(sandbox, script), "../outside\ndeep\nkept");
  assert.equal(readFileSync(at("tree/file"), "utf8"), "of the host\n");
  // Where a directory was, a link comes that leads out, and the guest goes on by what it knew.
  await output(
    sandbox,
    "cd /tree/inner; ls > /dev/null; (while sleep 0.05; do cat deep; done) > /tmp/seen 2>&1 &",
  );
  renameSync(at("tree/inner"), at("tree/before"));
  symlinkSync(at("outside"), at("tree/inner"));
  writeFileSync(at("outside/deep"), "secret\n");
  await eventually("the guest to look", async () =>
    (await output(sandbox, "tail -n 1 /tmp/seen")).startsWith("cat:") ? true : null,
  );
  assert.ok(!(await output(sandbox, "cat /tmp/seen")).includes("secret"));
  assert.notEqual((await sandbox.shell("cat /tree/inner/deep")).code, 0);
  renameSync(at("tree/inner"), at("tree/led-out"));
  renameSync(at("tree/before"), at("tree/inner"));
});

test("a union shows both, writes to one, and remembers what is removed", async () => {
  const script = `
    set -e; cd /union; ls; cat file; echo more >> file; cat file; echo new > inner/new; ls inner
    rm inner/deep; ls inner; mkdir made; mv file made/; ls made; ! test -e file
    rm -r inner; ! test -e inner; mkdir inner; ls -A inner
  `;
  assert.deepEqual((await output(sandbox, script)).split("\n"), [
    ...[
      "file",
      "inner",
      "led-out",
      "out",
      "up",
      "of the host",
      "of the host",
      "more",
      "deep",
      "new",
      "new",
      "file",
    ],
  ]);
  assert.equal(readFileSync(at("tree/file"), "utf8"), "of the host\n");
  assert.equal(await contentOf(upper, "/made/file"), "of the host\nmore\n");
});

test("what a provider does wrong costs its caller an error, and nobody else anything", async () => {
  const error = async (script: string): Promise<string> => {
    const { code, stderr } = await sandbox.shell(script).then((done) => ({
      code: done.code,
      stderr: done.stderr(),
    }));
    assert.notEqual(code, 0, script);
    return (stderr.trim().split(": ").at(-1) ?? "").replace("Input/output", "I/O");
  };
  assert.equal(await error("cat /bad/throws"), "I/O error");
  assert.equal(await error("cat /bad/rejects"), "Permission denied");
  assert.equal(await error("cat /bad/lies"), "I/O error");
  assert.equal(await error("cat /bad/nothing"), "I/O error");
  assert.equal(await error("stat /bad/no-size"), "I/O error");
  // What is no name is left out.
  assert.equal(await output(sandbox, "ls /bad"), "well");
  assert.ok(failures.some(({ operation, message }) => operation === "list" && message.includes("holds a /")));
  assert.equal(await output(sandbox, "cat /bad/well"), "well");
  assert.ok(failures.some(({ message }) => message === "thrown at once"));

  // While calls hang, the same mount, others and commands go on.
  // Of one file they would wait for one another.
  const hanging = Array.from({ length: 20 }, (_, index) => error(`cat /bad/hangs${index}`));
  hanging.push(error("stat /bad/hangs-stat"));
  let isOver = false;
  const all = Promise.all(hanging).finally(() => (isOver = true));
  assert.equal(
    await output(sandbox, "cat /bad/well; cat /memory/given/file; echo x > /bound/file"),
    "well\ngiven",
  );
  assert.equal(isOver, false);
  for (const each of await all) assert.match(each, /timed out/);
  assert.ok(failures.some(({ message }) => message.includes("within 1500 ms")));
  assert.equal(await output(sandbox, "cat /bad/well"), "well");
});

test("a program that stands still costs its callers an error in time", async () => {
  const reading = await sandbox.shellStream(
    "echo asking; sleep 1; cat /bad/other 2>&1; cat /memory/given/file",
  );
  await printed(reading);
  // Long enough for the supervisor to answer by itself: the option's 1.5 s, and 2 s more for the program's own word.
  const until = performance.now() + 6_000;
  while (performance.now() < until);
  assert.match((await reading.collect()).stdout(), /timed out\ngiven\n$/);
  assert.equal(await output(sandbox, "cat /bad/well"), "well");
});

test("it is bound to its program, and says so before anything is done", async () => {
  await assert.rejects(sandbox.detach(), UnsupportedOperationError);
  await assert.rejects(
    Sandbox.createDetached({
      name: "no",
      image: "localhost/base",
      volumes: { "/data": Mount.provider(memory()) },
    }),
    UnsupportedOperationError,
  );
  assert.equal(await output(sandbox, "cat /memory/given/file"), "given");
});

test("a stop does not wait for a provider that hangs; a start takes the providers again", async () => {
  const hanging: FileProvider = { ...bad, write: async () => undefined };
  const one = await small("hangs")
    .volume("/data", (m) => m.provider(hanging))
    .create();
  const waiting = await one.execStream("cat", ["/data/hangs"]);
  // A process in the middle of a call cannot be killed before it has an answer.
  await eventually("it to wait", async () =>
    (await output(one, "grep -l '^State:.D' /proc/[0-9]*/status | wc -l")) === "0" ? null : true,
  );
  const result = await one.stopAndWait();
  assert.deepEqual(result, { code: 0, success: true });
  await waiting.wait().catch(() => undefined);
  const handle = await Sandbox.get("hangs");
  await assert.rejects(handle.start(), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(`${error.message} ${error.hint}`, /\/data.*providers/);
    return true;
  });
  await assert.rejects(handle.start({ providers: { "/other": files } }), InvalidConfigError);
  await assert.rejects(handle.startDetached({ providers: { "/data": files } }), UnsupportedOperationError);
  const refused = spawnSync(process.execPath, [msbProgram, "start", "hangs"], { encoding: "utf8" });
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /cannot go on without its program, which provides the files at \/data/);
  const again = await handle.start({ providers: { "/data/": files } });
  assert.equal(await output(again, "cat /data/given/file"), "given");
  const restarted = await again.restart({ force: true });
  assert.equal(await output(restarted, "cat /data/given/file"), "given");
  await restarted.kill();
  const connected = await small("hangs")
    .volume("/data", (m) => m.provider(files))
    .connectOrCreate();
  assert.equal(await output(connected, "cat /data/given/file"), "given");
  await connected.kill();
});

test("when its program is killed, whoever waits for it gets an error at once", async (t) => {
  const owner = runProgram(
    t,
    `const files = {
       stat: async (path) => (path === "/" ? { kind: "directory" } : { kind: "file", size: 5 }),
       list: async () => [],
       read: () => new Promise(() => undefined),
     };
     const sandbox = await Sandbox.builder("owned").image("localhost/base").memory(256)
       .volume("/data", (m) => m.provider(files)).create();
     say("up");
     await sandbox.exec("sleep", ["1000"]);`,
  );
  assert.equal(await owner.line(), "up");
  const handle = await Sandbox.get("owned");
  const other = await handle.connect();
  const script = "trap '' TERM; cat /data/file 2> /root/error; echo $? > /root/code; sync";
  const waiting = await other.execStream("sh", ["-c", script]);
  await eventually("it to wait", async () =>
    (await output(other, "grep -l '^State:.D' /proc/[0-9]*/status | wc -l")) === "0" ? null : true,
  );
  owner.kill();
  assert.equal((await waiting.wait()).code, 0);
  assert.equal((await handle.waitUntilStopped()).status, "stopped");
  await using again = await Sandbox.start("owned", { providers: { "/data": files } });
  // Refused: it was the mount's first request, and the program was gone before it was met.
  const told = /^1\n.*(not connected|Transport|Connection refused)/;
  assert.match(await output(again, "cat /root/code /root/error"), told);
});
