import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { IoError } from "../errors/index.ts";
import { locateHome, prepareHome, socketPath } from "./home.ts";

let directory = "";

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "home-"));
});

after(() => rm(directory, { recursive: true, force: true }));

test("where the home is", () => {
  assert.equal(locateHome({}).root, join(homedir(), ".microsandbox"));
  assert.equal(locateHome({ MSB_HOME: "" }).root, join(homedir(), ".microsandbox"));
  const home = locateHome({ MSB_HOME: "/data/msb/" });
  assert.equal(home.root, "/data/msb");
  assert.equal(home.configFile, "/data/msb/config.json");
  assert.equal(home.sandboxes, "/data/msb/sandboxes");
  assert.equal(locateHome({ MSB_CONFIG_PATH: "/etc/msb.json" }).configFile, "/etc/msb.json");
});

test("a socket's path fits into 103 bytes wherever the home is", () => {
  const id = "0123456789abcdef";
  for (let length = 1; length < 400; length++) {
    const root = `/${"d".repeat(length)}`;
    const path = socketPath(locateHome({ MSB_HOME: root }), id);
    assert.ok(Buffer.byteLength(path) <= 103, `${path.length} bytes for a root of ${root.length}`);
    assert.ok(path.endsWith(`/${id}.sock`));
  }
  const [one, other] = ["a", "b"].map((letter) =>
    socketPath(locateHome({ MSB_HOME: `/${letter.repeat(200)}` }), id),
  );
  assert.notEqual(one, other);
});

test("a home is made with all its parents, for this user only, again and again and at once", async () => {
  const home = locateHome({ MSB_HOME: join(directory, "a", "b", "c") });
  await Promise.all([prepareHome(home), prepareHome(home), prepareHome(home)]);
  await prepareHome(home);
  for (const path of [home.root, home.sandboxes, home.templates, home.run, home.cache]) {
    const found = await stat(path);
    assert.equal(found.isDirectory() && found.mode & 0o777, 0o700, path);
  }
});

test("what cannot be a home", async () => {
  const file = join(directory, "file");
  await writeFile(file, "");
  await symlink("nowhere", join(directory, "dangling"));
  for (const root of [file, join(file, "below"), join(directory, "dangling")]) {
    await assert.rejects(
      prepareHome(locateHome({ MSB_HOME: root })),
      (error) => error instanceof IoError && error.hint !== "",
      root,
    );
  }
});

test("a directory of sockets that others can write to is refused", async () => {
  const home = locateHome({ MSB_HOME: join(directory, "open") });
  await mkdir(home.root);
  await mkdir(home.run);
  await chmod(home.run, 0o777);
  await assert.rejects(
    prepareHome(home),
    (error) => error instanceof IoError && /only this user/.test(error.message),
  );
});
