import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { InvalidConfigError, Sandbox, type SandboxBuilder } from "../../../src/index.ts";
import { output } from "../images/root-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

const home = useTemporaryHome();
const at = (...names: readonly string[]): string => join(home, ...names);
const small = (name: string): SandboxBuilder => Sandbox.builder(name).image("localhost/base").memory(256);

/** With one of each kind. */
let sandbox: Sandbox;
before(async () => {
  for (const name of ["work, with: all", "work, with: all/sub", "tree", "tree/inner", "inner", "outside"])
    mkdirSync(at(name));
  writeFileSync(at("work, with: all/from-host"), "hello\n");
  chmodSync(at("work, with: all/from-host"), 0o644);
  writeFileSync(at("tree/file"), "kept\n");
  writeFileSync(at("settings"), "a=1\n");
  writeFileSync(at("outside/secret"), "secret\n");
  sandbox = await small("bind")
    .volume("/tree/inner", (m) => m.bind(at("inner")))
    .volume("/tree", (m) => m.bind(at("tree")).readonly())
    .volume("/work", (m) => m.bind(at("work, with: all")))
    .volume("/etc/app/settings", (m) => m.bind(at("settings")))
    .volume("/named", (m) => m.namedWith("shared", "ensure-exists", "dir", undefined, 1))
    .volume("/owned", (m) => m.bind(at("outside")).readonly().owner(1000, 1000))
    .create();
});

const work = (...names: readonly string[]): string => at("work, with: all", ...names);

/** As a user of the guest without privileges. */
async function asUser(script: string): Promise<{ code: number; stderr: string }> {
  const result = await sandbox.execWith("sh", (options) => options.args(["-c", script]).user("1000:1000"));
  return { code: result.code, stderr: result.stderr() };
}

test("both sides see what the other one does", async () => {
  assert.equal(
    await output(
      sandbox,
      "cat /work/from-host; echo more >> /work/from-host; mkdir /work/made; echo new > /work/made/file; ln -s ../from-host /work/made/link",
    ),
    "hello",
  );
  assert.equal(readFileSync(work("from-host"), "utf8"), "hello\nmore\n");
  assert.equal(readFileSync(work("made/file"), "utf8"), "new\n");
  assert.equal(readlinkSync(work("made/link")), "../from-host");
  // What the guest has looked at, and what it has found missing, changes on the host.
  await output(
    sandbox,
    "stat /work/from-host; cat /work/made/file; ls /work /work/sub; ! stat /work/sub/later 2>/dev/null",
  );
  appendFileSync(work("from-host"), "again\n");
  writeFileSync(work("sub/later"), "here\n");
  renameSync(work("made/file"), work("made/moved"));
  await eventually("the guest to see it", async () => {
    const seen = await output(
      sandbox,
      "cat /work/from-host; cat /work/sub/later; ls /work/made /work/sub; true",
    );
    return seen === "hello\nmore\nagain\nhere\n/work/made:\nlink\nmoved\n\n/work/sub:\nlater" ? seen : null;
  });
});

test("files behave as on any file system", async () => {
  const script = `
    set -e; cd /work; mkdir t; cd t
    exec 3<> open; rm open; echo unlinked >&3; cat /proc/self/fd/3; exec 3>&-
    echo one > a; ln a b; echo two >> b; cat a; stat -c %h a
    echo x > old; echo y > new; mv new old; cat old
    (set -C; ! echo z > old) 2>/dev/null && echo exclusive
    dd if=/dev/zero of=holes bs=1 count=1 seek=10000000 2>/dev/null; stat -c '%s %b' holes
    truncate -s 5 holes; stat -c %s holes
    touch -d '2001-02-03 04:05:06' old; date -r old +%Y
    name=$(head -c 255 /dev/zero | tr '\\0' x); echo long > $name; cat $name
    printf 'bytes' > "$(printf '\\377\\376')"; ls | wc -l
    mkdir -p deep/er/still; mv deep moved; ls moved/er; rm -r moved
    mkfifo pipe; (echo through > pipe &) ; cat pipe; test -p pipe && echo pipe
    i=0; while [ $i -lt 300 ]; do : > many$i; i=$((i+1)); done; ls many* | wc -l; rm many*
  `;
  const lines = (await output(sandbox, script)).split("\n");
  assert.deepEqual(lines, [
    ...["unlinked", "one", "two", "2", "y", "exclusive"],
    ...["10000001 8", "5", "2001", "long", "6", "still", "through", "pipe", "300"],
  ]);
  assert.ok(statSync(work("t/pipe")).isFile(), "on the host it is an empty file");
});

test("any user of the guest may write, and what is made is the host's user's", async () => {
  assert.deepEqual(
    await asUser(
      "cd /work && echo mine > by-user && mkdir by-user-d && chmod 700 by-user && [ $(stat -c %u:%g by-user) = 1000:1000 ]",
    ),
    { code: 0, stderr: "" },
  );
  assert.equal(statSync(work("by-user")).uid, process.getuid?.());
  await output(sandbox, "cd /work && chown 5:6 from-host && chmod 4711 from-host && chown -h 7:7 made/link");
  assert.equal(await output(sandbox, "stat -c '%u:%g %a' /work/from-host"), "5:6 4711");
  const { uid, mode } = lstatSync(work("from-host"));
  assert.deepEqual([uid, mode & 0o7777], [process.getuid?.(), 0o644]);
  assert.equal(await output(sandbox, "stat -c %u:%g /owned /owned/secret"), "1000:1000\n1000:1000");
});

test("what is read-only stays so, whatever root in the guest does, with a part that is not", async () => {
  const script = `
    cat /tree/file
    for word in 'echo x > /tree/file' 'rm /tree/file' 'mkdir /tree/d' 'chmod 777 /tree/file' 'mv /tree/file /tree/f' 'ln -s a /tree/l'; do
      sh -c "$word" 2>/dev/null && echo "$word"
    done
    mount -o remount,rw /tree 2>/dev/null; mount -o remount,rw,bind /tree 2>/dev/null
    for word in 'echo x > /tree/file' 'rm /tree/file' 'mkdir /tree/d' 'touch /tree/file'; do
      sh -c "$word" 2>/dev/null && echo "$word"
    done
    echo inside > /tree/inner/made; cat /tree/inner/made
  `;
  assert.equal(await output(sandbox, script), "kept\ninside");
  assert.deepEqual(readdirSync(at("tree")).sort(), ["file", "inner"]);
  assert.equal(readFileSync(at("tree/file"), "utf8"), "kept\n");
  assert.equal(readFileSync(at("inner/made"), "utf8"), "inside\n");
});

test("links are followed in the guest alone", async () => {
  symlinkSync(at("outside"), work("out"));
  symlinkSync("/etc/hostname", work("host-name"));
  const script = `
    cat /work/host-name; ls /work/out 2>/dev/null
    ln -s ${at("outside/secret")} /work/up; cat /work/up 2>/dev/null; echo x > /work/up 2>/dev/null
    cat /work/../work/from-host | head -1; ls -d /work/..
  `;
  assert.equal(await output(sandbox, script), "bind\nhello\n/work/..");
  assert.equal(readFileSync(at("outside/secret"), "utf8"), "secret\n");
});

test("a single file, even one that the host puts another one in the place of", async () => {
  assert.equal(await output(sandbox, "cat /etc/app/settings; echo b=2 >> /etc/app/settings"), "a=1");
  assert.equal(readFileSync(at("settings"), "utf8"), "a=1\nb=2\n");
  writeFileSync(at("settings.new"), "c=3\n");
  renameSync(at("settings.new"), at("settings"));
  await eventually("the guest to see it", async () =>
    (await output(sandbox, "cat /etc/app/settings")) === "c=3" ? true : null,
  );
});

test("a named volume holds as much as it may, and keeps it for the next sandbox", async () => {
  const full = await sandbox.shell("echo kept > /named/file; dd if=/dev/zero of=/named/big bs=64k count=100");
  assert.notEqual(full.code, 0);
  assert.match(full.stderr(), /No space left/);
  assert.ok(statSync(at("volumes/shared/big")).size <= 1 << 20);
  await using other = await small("bind-other")
    .volume("/v", (m) => m.named("shared").readonly())
    .create();
  assert.equal(await output(other, "cat /v/file"), "kept");
  // What is there already counts, whoever has put it there.
  await using third = await small("bind-third")
    .volume("/v", (m) => m.named("shared"))
    .create();
  assert.notEqual((await third.shell("dd if=/dev/zero of=/v/more bs=64k count=2")).code, 0);
});

test("a thousand files and more are listed and removed", async () => {
  mkdirSync(work("many"));
  for (let each = 0; each < 1500; each++) writeFileSync(work("many", `file-${each}`), "");
  assert.equal(
    await output(
      sandbox,
      "ls /work/many | wc -l; find /work/many -type f | wc -l; rm -r /work/many; ls -d /work/many 2>/dev/null; true",
    ),
    "1500\n1500",
  );
});

test("nobody becomes root by a file of the host's", async () => {
  // BusyBox' su says so unless its file makes it root's.
  const script = (directory: string): string => `
    cd ${directory} && cp -L /proc/self/exe su && chown 0:0 su && chmod 4755 su && stat -c '%u %a' su; ./su -c 'id -u' < /dev/null 2>&1; true`;
  const refused = /must be suid/;
  const shared = await sandbox.execWith("sh", (options) =>
    options.args(["-c", script("/work")]).user("1000:1000"),
  );
  assert.match(shared.stdout(), /^0 4755\n/);
  assert.match(shared.stdout(), refused);
  // On the guest's own disk it does make it root's.
  await output(sandbox, `mkdir /own && chmod 755 /own; ${script("/own")}`);
  const own = await sandbox.execWith("sh", (options) =>
    options.args(["-c", "/own/su -c 'id -u' < /dev/null 2>&1; true"]).user("1000:1000"),
  );
  assert.doesNotMatch(own.stdout(), refused);
});

test(
  "whatever the host changes, whoever is at work in that directory goes on",
  { timeout: 120_000 },
  async () => {
    mkdirSync(work("busy"));
    const script = `
    cd /work/busy
    for worker in 1 2 3; do (
      i=0; while [ $i -lt 60 ]; do
        : > guest$worker; ls -l > /dev/null; stat file$((i % 20)) > /dev/null 2>&1; cat file$((i % 20)) > /dev/null 2>&1; rm guest$worker
        i=$((i+1))
      done ) & done
    wait; echo done
  `;
    const over = new AbortController();
    const guest = output(sandbox, script).finally(() => over.abort());
    for (let each = 0; !over.signal.aborted; each++) {
      const name = work("busy", `file${each % 20}`);
      writeFileSync(work("busy", "new"), `${each}`);
      renameSync(work("busy", "new"), name);
      if (each % 3 === 0) rmSync(name);
      if (each % 10 === 0) await setImmediate();
    }
    assert.equal(await guest, "done");
  },
);

test("root in the guest can take the way to the host's files from nobody", async () => {
  await sandbox.shell("kill -9 -1");
  const script = `
    ls /dev/vport* | wc -l
    for port in /dev/vport*; do (echo garbage > $port) 2>/dev/null && echo took $port; done
    head -n 1 /work/from-host
  `;
  assert.equal(await output(sandbox, script), "2\nhello");
});

test("what cannot be mounted is refused before anything is made", async () => {
  symlinkSync(at("outside"), at("link"));
  for (const path of [at("nothing"), at("link"), "/dev/null"]) {
    await assert.rejects(
      small("bad")
        .volume("/x", (m) => m.bind(path))
        .create(),
      InvalidConfigError,
      path,
    );
  }
  assert.equal(
    (await Sandbox.list()).some(({ name }) => name === "bad"),
    false,
  );
  mkdirSync(at("vanishes"));
  const gone = await small("gone")
    .volume("/x", (m) => m.bind(at("vanishes")))
    .create();
  await gone.stop();
  rmSync(at("vanishes"), { recursive: true });
  await assert.rejects(Sandbox.start("gone"), InvalidConfigError);
});

test("what was written is there when the sandbox has ended, and the guest ends in order", async () => {
  await output(sandbox, "echo last > /work/last");
  await sandbox.stop();
  assert.equal(readFileSync(work("last"), "utf8"), "last\n");
});
