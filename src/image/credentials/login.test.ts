import assert from "node:assert/strict";
import { chmod, lstat, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageError, InvalidConfigError } from "../../errors/index.ts";
import { locateHome, type Home } from "../../store/home.ts";
import { readGlobalConfig } from "../../store/global-config.ts";
import { keyringHelper } from "./helper.ts";
import { listLogins, removeLogin, saveLogin } from "./login.ts";
import { findCredential } from "./search.ts";

let directory: string;
let environment: NodeJS.ProcessEnv;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-login-"));
  const bin = join(directory, "bin");
  await mkdir(bin);
  // A helper as docker's are, that keeps what it is told in a file.
  const store = join(directory, "keyring");
  const helper = join(bin, `docker-credential-${keyringHelper()}`);
  await writeFile(
    helper,
    `#!/bin/sh
case $1 in
store) cat > '${store}' ;;
get) [ -f '${store}' ] && cat '${store}' || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f '${store}' ;;
esac
`,
  );
  await chmod(helper, 0o755);
  environment = { HOME: directory, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
});

after(() => rm(directory, { recursive: true }));

test("a config.json that is a link stays one, and keeps its mode", async () => {
  const home = newHome();
  await mkdir(home.root, { recursive: true });
  const real = join(directory, "dotfiles.json");
  await writeFile(real, '{"log_level":"info"}', { mode: 0o644 });
  await symlink(real, home.configFile);
  await saveLogin(home, "ghcr.io", { username: "me", password: "pw", store: "file", environment });
  assert.ok((await lstat(home.configFile)).isSymbolicLink());
  assert.match(await readFile(real, "utf8"), /"ghcr.io"/);
  assert.equal((await stat(real)).mode & 0o777, 0o644);
});

let homes = 0;
const newHome = (): Home => locateHome({ MSB_HOME: join(directory, `home-${++homes}`) });

async function credential(home: Home, domain: string): Promise<unknown> {
  const config = await readGlobalConfig(home);
  return (await findCredential(domain, { explicit: undefined, home, config, environment })).credential;
}

test("a login is kept in a file of the user's own, found, listed without its password, and forgotten", async () => {
  const home = newHome();
  await mkdir(home.root);
  await writeFile(home.configFile, JSON.stringify({ log_level: "info", ssh: {} }));
  await saveLogin(home, "ghcr.io", { username: "me", password: "hunter2", store: "file" });
  await saveLogin(home, "https://index.docker.io/v1/", { username: "you", password: "other", store: "file" });
  assert.deepEqual(await credential(home, "ghcr.io"), { kind: "basic", username: "me", password: "hunter2" });
  assert.deepEqual(await credential(home, "docker.io"), {
    kind: "basic",
    username: "you",
    password: "other",
  });
  assert.deepEqual(await listLogins(home), [
    { registry: "docker.io", username: "you", source: "file" },
    { registry: "ghcr.io", username: "me", source: "file" },
  ]);
  assert.ok(!(await readFile(home.configFile, "utf8")).includes("hunter2"));
  const secret = join(home.root, "secrets", "registries", "ghcr.io");
  assert.equal((await stat(secret)).mode & 0o777, 0o600);

  assert.equal(await removeLogin(home, "ghcr.io"), true);
  assert.equal(await removeLogin(home, "ghcr.io"), false);
  assert.equal(await credential(home, "ghcr.io"), null);
  await assert.rejects(stat(secret));
  await removeLogin(home, "docker.io");
  // Everything else in the file is as it was.
  assert.deepEqual(JSON.parse(await readFile(home.configFile, "utf8")), {
    log_level: "info",
    ssh: {},
    registries: {},
  });
});

test("a login is kept in the system's store, and moves from one place to another", async () => {
  const home = newHome();
  const login = { username: "me", password: "hunter2" };
  await saveLogin(home, "localhost:5000", { ...login, store: "keyring", environment });
  assert.deepEqual(await credential(home, "localhost:5000"), { kind: "basic", ...login });
  assert.deepEqual(await listLogins(home), [
    { registry: "localhost:5000", username: "me", source: "keyring" },
  ]);
  await saveLogin(home, "localhost:5000", { ...login, password: "new", store: "file", environment });
  assert.deepEqual(await credential(home, "localhost:5000"), {
    kind: "basic",
    username: "me",
    password: "new",
  });
  await assert.rejects(stat(join(directory, "keyring")));
  await assert.rejects(
    saveLogin(home, "a.b", { ...login, store: "keyring", environment: { PATH: "/nonexistent" } }),
    ImageError,
  );
});

test("what is no registry, no name or no password is refused", async () => {
  const home = newHome();
  const login = { username: "me", password: "hunter2", store: "file" } as const;
  for (const registry of ["", "..", "a b", "no-domain", "host:99999"]) {
    await assert.rejects(saveLogin(home, registry, login), InvalidConfigError, registry);
  }
  await assert.rejects(saveLogin(home, "ghcr.io", { ...login, username: "" }), InvalidConfigError);
  await assert.rejects(saveLogin(home, "ghcr.io", { ...login, password: "" }), InvalidConfigError);
});
