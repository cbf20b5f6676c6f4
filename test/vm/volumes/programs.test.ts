import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { run } from "../../../guest/tools.ts";
import { Sandbox } from "../../../src/index.ts";
import { snapshot } from "../../support/overlay-guest.ts";
import { output } from "../images/root-support.ts";
import { printed, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running", "programs"];

// The programs are the host's own: its /usr is mounted in the guest, where nothing else has them.

const home = useTemporaryHome();
const at = (...names: readonly string[]): string => join(home, ...names);

let sandbox: Sandbox;
before(async () => {
  for (const name of ["work", "layered"]) mkdirSync(at(name));
  sandbox = await Sandbox.builder("programs")
    .image("localhost/base")
    .memory(512)
    .volume("/usr", (m) => m.bind("/usr").readonly())
    .volume("/lib", (m) => m.bind("/usr/lib").readonly())
    .volume("/tests", (m) => m.bind(import.meta.dirname).readonly())
    .volume("/work", (m) => m.bind(at("work")))
    .volume("/layered", (m) => m.bind(at("layered")).overlay())
    .volume("/named", (m) => m.namedWith("data", "ensure-exists", "dir"))
    .volume("/disk", (m) => m.namedWith("disk", "ensure-exists", "disk", 256))
    .volume("/memory", (m) => m.tmpfs().size(256))
    .create();
  await output(sandbox, "ln -s usr/lib64 /lib64");
});

for (const [mount, kind] of Object.entries({
  "/work": "a directory of the host",
  "/layered": "a layer over a directory of the host",
  "/named": "a named directory",
  "/disk": "a disk",
  "/memory": "memory",
})) {
  test(`programs find what they expect of files on ${kind}`, async () => {
    assert.equal(await output(sandbox, `python3 /tests/file-behaviour.py ${mount} 2>&1`), "done");
  });
}

test("the host finds what they have left", async () => {
  const inWork = (...names: readonly string[]): string => at("work/behaviour", ...names);
  assert.equal(readFileSync(inWork("shared_maps/map"), "utf8").slice(0, 5), "child");
  const { size, blocks } = statSync(inWork("holes/holes"));
  assert.ok(size === 90_000_000 && blocks < 64, "holes are holes");
  const rows = await run("sqlite3", [
    inWork("a_database_with_two_writers/wal.db"),
    "select count(*) from t; pragma integrity_check",
  ]);
  assert.equal(rows.toString(), "30\nok\n");
});

test("what is mapped in the guest follows what the host writes", async () => {
  writeFileSync(at("work/mapped"), "before\n");
  const script = `
import mmap, os, sys
fd = os.open("/work/mapped", os.O_RDONLY)
memory = mmap.mmap(fd, 7, prot=mmap.PROT_READ)
print(memory[:].decode().strip(), flush=True)
while memory[:] != b"after.\\n": os.stat("/work/mapped")
print("seen")`;
  const handle = await sandbox.execStream("python3", ["-c", script]);
  await printed(handle);
  writeFileSync(at("work/mapped"), "after.\n", { flag: "r+" });
  assert.equal((await handle.collect()).code, 0);
});

test("git, make and a compiler work on it", async () => {
  const script = `
    set -e
    export HOME=/work/user LC_ALL=C; mkdir $HOME /work/git; cd /work/git
    git config --global user.name tester; git config --global user.email tester@example.com
    git config --global init.defaultBranch main
    git init -q; mkdir sub; for each in 1 2 3 4 5 6 7 8; do echo $each > sub/$each; done
    git add .; git commit -qm one; git checkout -qb other; git rm -q sub/1; echo more >> sub/2; git commit -qam two
    git checkout -q main; cat sub/1; git merge -q other; git gc -q; git fsck 2>/dev/null; git status --short
    git clone -q --local . ../clone; git -C ../clone log --oneline | wc -l

    mkdir /work/make; cd /work/make
    printf 'int main(void) { return 7; }' > a.c
    printf 'all: a $(addprefix x,1 2 3 4)\\na: a.c\\n\\tgcc -o $@ $<\\nx%%:\\n\\techo $@ > $@\\n' > Makefile
    make -s -j4; ./a || echo $?; cat x1 x2 x3 x4; make -q && echo "up to date"
  `;
  assert.deepEqual((await output(sandbox, script)).split("\n"), [
    ...["1", "2"],
    ...["7", "x1", "x2", "x3", "x4", "up to date"],
  ]);
  await run("git", ["-c", "safe.directory=*", "-C", at("work/clone"), "fsck", "--strict"]);
});

test("git and make work over a repository of the host's, which is as they left it when that is applied", async () => {
  assert.deepEqual(readdirSync(at("layered")), []);
  const repository = at("layered/repository");
  mkdirSync(join(repository, "sub"), { recursive: true });
  const git = async (...args: readonly string[]): Promise<string> => {
    const identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.com"];
    return (await run("git", [...identity, "-c", "safe.directory=*", "-C", repository, ...args])).toString();
  };
  for (const name of ["1", "2", "3"]) writeFileSync(join(repository, "sub", name), `${name}\n`);
  await git("init", "-q", "-b", "main");
  await git("add", ".");
  await git("commit", "-qm", "one");
  const before = snapshot(repository);
  const script = `
    set -e
    export HOME=/work/user LC_ALL=C; cd /layered/repository
    git config user.name guest; git config user.email guest@example.com; git status --short
    git checkout -qb other; git rm -q sub/1; git mv sub/2 sub/two; echo more >> sub/3; git commit -qam two
    git checkout -q main; ls sub; git merge -q other; git gc -q; git fsck 2>/dev/null; git status --short
    printf 'out: sub/3\\n\\tcp sub/3 out\\n' > Makefile; make -s; cat out; make -q && echo "up to date"`;
  const said = await output(sandbox, script);
  assert.deepEqual(said.split("\n"), ["1", "2", "3", "3", "more", "up to date"]);
  assert.deepEqual(snapshot(repository), before);
  await sandbox.applyChanges("/layered/repository");
  for await (const { kind, path } of sandbox.changes("/layered/repository")) assert.fail(`${kind} ${path}`);
  assert.equal(await git("status", "--short"), "?? Makefile\n?? out\n");
  assert.equal((await git("log", "--format=%an %s")).trim(), "guest two\ntester one");
  await git("fsck", "--strict");
});

test("apt-get reads a repository of the host's", async () => {
  mkdirSync(at("work/repository"));
  writeFileSync(
    at("work/repository/Packages"),
    "Package: example\nVersion: 1.0\nArchitecture: all\nFilename: ./example.deb\nSize: 1\nDescription: none\n",
  );
  const script = `
    set -e
    mkdir -p /work/apt/lists/partial /work/apt/cache/archives/partial /work/apt/etc/apt.conf.d /work/apt/etc/preferences.d /work/apt/empty
    : > /work/apt/status
    echo 'deb [trusted=yes] copy:/work/repository ./' > /work/apt/etc/sources.list
    cat > /work/apt/conf <<END
Dir::State "/work/apt"; Dir::State::Lists "/work/apt/lists"; Dir::State::Status "/work/apt/status"; Dir::Cache "/work/apt/cache";
Dir::Etc "/work/apt/etc"; Dir::Etc::SourceParts "/work/apt/empty"; Dir::Etc::TrustedParts "/work/apt/empty"; APT::Sandbox::User "root";
END
    export APT_CONFIG=/work/apt/conf LC_ALL=C; apt-get update 2>&1; apt-cache show example | head -n 2
  `;
  const said = await output(sandbox, script);
  assert.match(said, /^Get:\d+ copy:\/work\/repository \.\/ Packages/m);
  assert.match(said, /Package: example\nVersion: 1.0$/);
  assert.doesNotMatch(said, /^[EW]:/m);
});
