/** `msb cp`, against GNU tar and what docker's documentation says of docker cp. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { copyFiles, type CopyOutcome } from "../../../src/api/copy/copy-files.ts";
import { Sandbox } from "../../../src/index.ts";
import { archive, tarEntry, type TarFields } from "../../support/tar-builder.ts";
import { treeListing } from "../../support/tree-support.ts";
import { MsbHome, msbProgram } from "../cli/cli-support.ts";
import { eventually } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const run = promisify(execFile);
const home = new MsbHome();
process.env["MSB_HOME"] = home.path;
const name = "c".repeat(128);
const place = join(home.path, "place");
let sandbox: Sandbox;

before(async () => {
  mkdirSync(place);
  sandbox = await Sandbox.builder(name).image("localhost/base").memory(256).create();
});

after(async () => {
  await sandbox[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

/** What a script of the guest prints. */
async function guest(script: string): Promise<string> {
  const output = await sandbox.shell(script);
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().trim();
}

/** A script of this computer, in which `msb` is what is tested, and $S the sandbox. Standard error counts as output. */
async function host(script: string): Promise<{ readonly code: number; readonly text: string }> {
  const program = `msb() { '${process.execPath}' '${msbProgram}' "$@"; }; exec 2>&1; ${script}`;
  try {
    const options = { cwd: place, env: { ...home.environment, S: name } };
    return { code: 0, text: (await run("bash", ["-o", "pipefail", "-c", program], options)).stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, text: stdout };
  }
}

/** One copy, without a process of its own. A path that begins with `:` is the guest's. */
async function copied(from: string, to: string, followLinks = false): Promise<CopyOutcome> {
  const side = (
    path: string,
  ):
    | { kind: "host"; path: string }
    | { kind: "sandbox"; sandbox: string; fs: ReturnType<Sandbox["fs"]>; path: string } =>
    path.startsWith(":")
      ? { kind: "sandbox", sandbox: name, fs: sandbox.fs(), path: path.slice(1) }
      : { kind: "host", path: `${place}/${path}` };
  const signal = AbortSignal.timeout(60_000);
  return await copyFiles(side(from), side(to), {
    followLinks,
    keepOwners: false,
    signal,
    onProgress: () => undefined,
  });
}

/** [from, to, what is there then, or why not]; both sides begin with the same files. */
const rules: readonly [from: string, to: string, expected: string | RegExp][] = [
  ["one", "to/new", "to/new"],
  ["one", "to/new/", /there is no directory/],
  ["one", "missing/new", /ENOENT|No such file/],
  ["one", "to/old", "to/old"],
  ["one", "to/old/", /is no directory/],
  ["one", "to/dir", "to/dir/one"],
  ["one", "to/link", "to/dir/one"],
  ["from", "to/made", "to/made/sub/two"],
  ["from", "to/made2/", "to/made2/sub/two"],
  ["from", "to/dir", "to/dir/from/sub/two"],
  ["from/", "to/dir", "to/dir/from/sub/two"],
  ["from", "to/old", /cannot copy the directory/],
  ["from", "missing/new", /ENOENT|No such file/],
  ["from/.", "to/made", "to/made/sub/two"],
  ["from/.", "to/dir", "to/dir/sub/two"],
  ["from/.", "to/dir/.", "to/dir/sub/two"],
  ["from/sub/..", "to/dir", "to/dir/from/sub/two"],
  ["nowhere", "to/dir", /there is no|No such file/],
  ["one/", "to/dir", /ENOTDIR|Not a directory/],
];
const files =
  "rm -rf from to one; mkdir -p from/sub to/dir; echo 2 >from/sub/two; echo 1 >one; echo old >to/old; ln -s dir to/link";

describe("what goes where", () => {
  for (const inward of [true, false]) {
    test(inward ? "into the sandbox" : "out of the sandbox", async () => {
      for (const [from, to, expected] of rules) {
        execFileSync("sh", ["-c", files], { cwd: place });
        await guest(`mkdir -p /tmp/place; cd /tmp/place; ${files}`);
        const copy = inward ? copied(from, `:/tmp/place/${to}`) : copied(`:/tmp/place/${from}`, to);
        const shown = `${from} → ${to}`;
        if (typeof expected !== "string") {
          await assert.rejects(copy, expected, shown);
          continue;
        }
        const { problems } = await copy;
        assert.deepEqual(problems, [], shown);
        const content = inward
          ? await guest(`cat /tmp/place/${expected}`)
          : readFileSync(join(place, expected), "utf8").trim();
        assert.equal(content, expected.endsWith("two") ? "2" : "1", shown);
        if (!inward)
          assert.deepEqual(
            readdirSync(place).filter((each) => each.startsWith(".msb")),
            [],
          );
      }
    });
  }
});

describe("a tree", () => {
  before(() => {
    execFileSync(
      "bash",
      [
        "-ec",
        `
      mkdir -p tree/deep/er tree/empty; cd tree
      printf '#!/bin/sh\\n' >script; chmod 4755 script; : >nothing; chmod 640 nothing
      head -c 700001 /dev/urandom >deep/er/large; head -c 5 /dev/urandom >"$(printf 'by\\xff\\ntes')"
      head -c 9 /dev/zero >"$(printf '%0255d' 0)"
      truncate -s 3M sparse; printf x | dd of=sparse bs=1 seek=1000000 conv=notrunc status=none
      ln -s ../script deep/link; ln -s /nowhere dangling; chmod 711 empty
      for i in $(seq 300); do echo $i >deep/$i; done
      find . -exec touch -h -d '2021-02-03 04:05:06.123456789' {} +`,
      ],
      { cwd: place },
    );
  });

  test("comes back as it went", async () => {
    const went = await copied("tree", ":/var/tree");
    assert.equal(went.problemCount, 0);
    assert.equal(await guest("stat -c '%a %u:%g %Y' /var/tree/script"), "4755 0:0 1612325106");
    assert.ok(Number(await guest("stat -c %b /var/tree/sparse")) < 100);
    const came = await copied(":/var/tree", "back");
    assert.equal(came.problemCount, 0);
    // What a guest says of setuid is not believed.
    const expected = (await treeListing(join(place, "tree"))).map((line) =>
      line.replace("/script 4755", "/script 755"),
    );
    assert.deepEqual(await treeListing(join(place, "back")), expected);
    assert.ok(statSync(join(place, "back/sparse")).blocks < 200);
  });

  test("goes through GNU tar both ways", async () => {
    const { code, text } = await host(`
      set -e
      msb cp tree $S:/root/in
      mkdir unpacked; msb cp -q $S:/root/in - | tar x -C unpacked
      msb cp $S:/root/in/. - | tar t | sed -n 1p
      msb exec $S -- mkdir /root/again
      tar c --format=posix -C unpacked/in . | gzip | msb cp -q - $S:/root/again`);
    assert.equal(code, 0, text);
    assert.match(text, /✓ Copied .*tree → c+:\/root\/in, 3\.7 MiB.*\n\.\/$/m);
    assert.deepEqual(await treeListing(join(place, "unpacked/in")), await treeListing(join(place, "tree")));
    await copied(":/root/again", "again");
    const expected = (await treeListing(join(place, "tree"))).filter((line) => !line.startsWith("/ "));
    const found = (await treeListing(join(place, "again"))).filter((line) => !line.startsWith("/ "));
    assert.deepEqual(
      found,
      expected.map((line) => line.replace("/script 4755", "/script 755")),
    );
  });

  test("with -L has what links lead to, with -a the owners", async () => {
    await guest(
      "mkdir -p /srv/links/dir; cd /srv/links; echo target >file; ln -s file link; ln -s ../dir dir/up; chown -h 1000:7 file link",
    );
    const { code, text } = await host(`
      rm -rf linked owned
      msb cp -L $S:/srv/links/link linked && cat linked && test ! -L linked
      msb cp $S:/srv/links/link kept && readlink kept
      msb cp -a $S:/srv/links/file owned && stat -c %u:%g owned
      msb cp -a owned $S:/srv/links/back && msb exec $S -- stat -c %u:%g /srv/links/back`);
    assert.equal(code, 0, text);
    assert.deepEqual(
      text.split("\n").filter((line) => !line.includes("✓")),
      ["target", "file", "1000:7", "1000:7", ""],
    );
    // A circle ends, and is named.
    const { problems } = await copied(":/srv/links/dir", "circle", true);
    assert.match(String(problems[0]?.message), /symbolic links/i);
  });

  test("goes from a sandbox to itself, but not into itself", async () => {
    await copied(":/var/tree", ":/srv/copy");
    await guest("diff -r /var/tree /srv/copy");
    for (const to of [":/srv/copy", ":/srv/copy/deep/", ":/srv/copy/new"])
      await assert.rejects(copied(":/srv/copy/.", to), /itself/);
  });
});

test("an archive changes nothing outside of the directory that was named, and what is refused is named", async () => {
  await guest("mkdir -p /srv/in /srv/victims; echo victim >/srv/victims/file; chown 1000:1000 /srv/in");
  const entries: readonly TarFields[] = [
    { name: "../victims/file", data: "bad" },
    { name: "out", type: "2", link: "/srv/victims" },
    { name: "out/file", data: "bad" },
    { name: "out/new", data: "bad" },
    { name: "up", type: "2", link: ".." },
    { name: "up/victims/file", data: "bad" },
    { name: "stolen", type: "1", link: "out/file" },
    { name: "/srv/victims/file", data: "inside" },
    { name: "kept", data: "kept" },
  ];
  const built = archive(...entries.map((fields) => tarEntry({ uid: 5, gid: 5, ...fields })));
  writeFileSync(join(place, "hostile.tar"), built);
  const { code, text } = await host("msb cp - $S:/srv/in <hostile.tar");
  assert.equal(code, 1);
  for (const path of ["../victims/file", "out/file", "out/new", "up/victims/file", "stolen"]) {
    assert.ok(text.includes(`error: cannot copy -/${path}: `), text);
  }
  assert.equal(
    await guest(
      "cat /srv/victims/*; ls /srv/victims; cat /srv/in/kept /srv/in/srv/victims/file; stat -c %u /srv/in/kept",
    ),
    "victim\nfile\nkeptinside0",
  );
  assert.equal(await guest("cd /srv/in; ls"), "kept\nout\nsrv\nup");
});

test("hard links of an archive are hard links in the sandbox", async () => {
  const { code, text } = await host(
    "mkdir hard; echo x >hard/a; ln hard/a hard/b; msb exec $S -- mkdir /srv/hard; tar c -C hard a b | msb cp - $S:/srv/hard",
  );
  assert.equal(code, 0, text);
  assert.equal(await guest("stat -c %h /srv/hard/a /srv/hard/b"), "2\n2");
});

test("errors have a hint and their exit code, and nothing is on stdout but the archive", async () => {
  const cases: readonly [script: string, code: number, expected: RegExp][] = [
    ["msb cp a b", 2, /one side is to be in a sandbox/],
    ["msb cp $S:relative b", 2, /no absolute path/],
    ["msb cp nothere $S:/tmp", 1, /there is no nothere on this computer\n.*→/],
    ["msb cp - $S:/tmp/none </dev/null", 1, /there is no directory c+:\/tmp\/none to unpack/],
    ["echo nonsense | msb cp - $S:/tmp", 1, /the archive cannot be read/],
    ["msb cp none:/x .", 1, /no sandbox is named none/],
    ["msb cp $S:/dev .", 1, /cannot copy c+:\/dev\/null: it is a device/],
    ["msb cp $S:/dev/null - | tar t", 1, /^error: cannot copy c+:\/dev\/null: it is a device[^\n]*\n$/],
    ["msb __complete --word=$S:/etc/pass -- cp", 0, /^c+:\/etc\/passwd\t\n$/],
    ["msb __complete --word= -- cp", 0, /^c+:\t\n/],
  ];
  for (const [script, expectedCode, expected] of cases) {
    const { code, text } = await host(script);
    assert.equal(code, expectedCode, text);
    assert.match(text, expected);
  }
});

test("a full disk of the guest ends the copy, also while its source has more to come", async () => {
  await guest("mkdir /srv/full; mount -t tmpfs -o size=1m none /srv/full");
  const copy = home.start(["cp", "-", `${name}:/srv/full`], null);
  const size = 4 << 20;
  const rest = 1000;
  copy.child.stdin?.write(tarEntry({ name: "big", size }));
  copy.child.stdin?.write(Buffer.alloc(size - rest));
  // What comes alone is not kept for more to come.
  await eventually("the disk to be full", async () =>
    (await guest("find /srv/full -type f -size +1023k")) === "" ? null : true,
  );
  await sleep(200);
  copy.child.stdin?.write(Buffer.alloc(rest));
  const { code, stderr } = await copy.result;
  assert.equal(code, 1, stderr);
  assert.match(stderr, /No space left/);
  assert.equal(await guest("ls -A /srv/full; umount /srv/full"), "");
});

test("what is interrupted is not there", async () => {
  await guest("mkdir -p /tmp/in; dd if=/dev/zero of=/var/big bs=1M count=200 2>/dev/null");
  const out = join(place, "interrupted");
  mkdirSync(out);
  const outward = home.start(["cp", `${name}:/var/big`, out]);
  await eventually("the file to come", () =>
    Promise.resolve(readdirSync(out).find((each) => each.startsWith(".msb-partial-")) ?? null),
  );
  outward.child.kill("SIGINT");
  assert.equal((await outward.result).code, 130);
  assert.deepEqual(readdirSync(out), []);
  rmSync(out, { recursive: true });

  const inward = home.start(["cp", "-", `${name}:/tmp/in`], null);
  inward.child.stdin?.write(tarEntry({ name: "whole", data: "whole" }));
  inward.child.stdin?.write(tarEntry({ name: "big", size: 2 ** 30 }));
  inward.child.stdin?.write(Buffer.alloc(1 << 20));
  await eventually("both files", async () => ((await guest("ls -A /tmp/in | wc -l")) === "2" ? true : null));
  inward.child.kill("SIGINT");
  assert.equal((await inward.result).code, 130);
  await eventually("the half file to go", async () =>
    (await guest("ls -A /tmp/in")) === "whole" ? true : null,
  );
});

test("a stopped sandbox is told of", async () => {
  await sandbox.stop();
  const { code, text } = await host("msb cp $S:/etc . ");
  assert.equal(code, 1);
  assert.match(text, /is stopped\n.*msb start/);
});
