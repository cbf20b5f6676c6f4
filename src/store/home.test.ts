import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
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
  for (const path of [home.root, home.sandboxes, home.run, home.cache]) {
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

test("a user whom the system does not know needs HOME or MSB_HOME, and is told so", async () => {
  const unknown = 54_321;
  const script = `
    import { locateHome, prepareHome } from ${JSON.stringify(new URL("home.ts", import.meta.url).href)};
    import { credentialFromDocker } from ${JSON.stringify(new URL("../image/credentials/docker-config.ts", import.meta.url).href)};
    if (process.getuid() === 0) process.setuid(${unknown});
    const found = [process.getuid()];
    for (const MSB_HOME of ["", process.argv[1]]) {
      try {
        const home = locateHome({ MSB_HOME });
        await prepareHome(home);
        found.push(home.root);
      } catch (error) {
        found.push({ code: error.code, message: error.message, hint: error.hint });
      }
    }
    found.push(await credentialFromDocker("docker.io", {}));
    console.log(JSON.stringify(found));
  `;
  const root = join(directory, "unknown");
  await mkdir(root);
  await chmod(directory, 0o755);
  await chmod(root, 0o777);
  const home = join(root, "h".repeat(90));
  const node = [process.execPath, "--input-type=module", "--eval", script, home];
  // Root can become anyone; others can call themselves so in a user namespace.
  const command = process.getuid?.() === 0 ? node : ["unshare", "--user", `--map-user=${unknown}`, ...node];
  const { HOME: _home, ...environment } = process.env;
  const [program = "", ...args] = command;
  const { stdout } = await promisify(execFile)(program, args, { env: { ...environment, TMPDIR: root } });
  assert.deepEqual(JSON.parse(stdout), [
    unknown,
    {
      code: "invalidConfig",
      message: "this user has no home directory: neither HOME nor the system's users name one",
      hint: "Set HOME, or MSB_HOME to a directory of your own.",
    },
    home,
    { credential: null, notes: [] },
  ]);
});
