import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { lstat, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { hostArchitecture, image, layer, noise, push, scratch, skopeo, type BuiltImage } from "./images.ts";
import { RegistryServer } from "./registry-server.ts";
import { MsbHome, msbProgram, type Result } from "../vm/cli/cli-support.ts";
import { Terminal } from "../vm/cli/terminal-support.ts";

// The commands for images and registries, against a real registry. None of these starts a machine.

const run = promisify(execFile);
const home = new MsbHome();
const user = "user";
const password = "pass: wörd";
const hostileLabels = { maker: "\x9b2Jt\u202ees\x1b]0;title\x07t\nDigest: forged" };
let directory: Awaited<ReturnType<typeof scratch>>;
let open: RegistryServer;
let guarded: RegistryServer;
let certificates: Certificates;
let app: BuiltImage;
let appName = "";
let otherName = "";

before(async () => {
  directory = await scratch();
  // Docker's own logins of whoever runs the tests are left out.
  home.environment["DOCKER_CONFIG"] = directory.path;
  certificates = await makeCertificates(directory.path);
  app = image([await layer({ "etc/one": "1" }), await layer({ "etc/two": noise(300_000) })], {
    config: {
      Env: ["PATH=/bin", "ODD=\x1b[31mred"],
      Cmd: ["serve", "two words"],
      Entrypoint: ["/bin/entry"],
      User: "1000",
      WorkingDir: "/srv",
      Labels: hostileLabels,
      StopSignal: "SIGINT",
    },
  });
  open = await RegistryServer.start(directory.path);
  appName = `${open.host}/team/app:1`;
  otherName = `${open.host}/other:latest`;
  await push(app, appName);
  await push(image([await layer({ other: "content" })]), otherName);

  const { stdout } = await run("htpasswd", ["-Bbn", user, password]);
  const htpasswd = join(directory.path, "htpasswd");
  await writeFile(htpasswd, stdout);
  guarded = await RegistryServer.start((await scratchBelow("guarded")).path, {
    tls: `{certificate: ${certificates.certFile}, key: ${certificates.keyFile}}`,
    auth: `{htpasswd: {realm: test, path: ${htpasswd}}}`,
  });
  await push(app, `${guarded.host}/private:1`, "--dest-creds", `${user}:${password}`);
});

after(async () => {
  // `before` may have failed half way.
  await (open as RegistryServer | undefined)?.[Symbol.asyncDispose]();
  await (guarded as RegistryServer | undefined)?.[Symbol.asyncDispose]();
  await (directory as typeof directory | undefined)?.[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

async function scratchBelow(name: string): Promise<{ path: string }> {
  const path = join(directory.path, name);
  await run("mkdir", [path]);
  return { path };
}

function succeeded(result: Result): Result {
  assert.equal(result.code, 0, result.stderr);
  return result;
}

async function msb(...args: string[]): Promise<Result> {
  return succeeded(await home.msb(...args));
}

async function listed(): Promise<string[]> {
  return (await msb("images", "-q")).stdout.split("\n").filter((line) => line !== "");
}

describe("images", () => {
  test("before the first pull there are none, and stdout is empty", async () => {
    const none = await msb("image", "ls");
    assert.deepEqual([none.stdout, none.stderr], ["", "No images found.\n"]);
    assert.deepEqual(JSON.parse((await msb("images", "--format", "json")).stdout), []);
  });

  test("a pull tells of each layer, the next one of nothing but its end, a quiet one of nothing", async () => {
    const first = await msb("pull", appName);
    assert.equal(first.stdout, "");
    assert.match(first.stderr, new RegExp(`^Pulling ${appName}: 2 layers, \\d+(\\.\\d)? KiB to download\\n`));
    for (const one of app.layers) {
      const digits = one.blob.digest.slice("sha256:".length, "sha256:".length + 12);
      assert.match(first.stderr, new RegExp(`^${digits}: downloaded, `, "m"));
      assert.match(first.stderr, new RegExp(`^${digits}: unpacked$`, "m"));
    }
    assert.match(first.stderr, new RegExp(`\\n {3}✓ Pulled {7}${appName}( \\(\\d+\\.\\ds\\))?\\n$`));
    const second = await msb("image", "pull", appName);
    assert.match(second.stderr, /^ {3}✓ Pulled [^\n]*\n$/);
    const quiet = await msb("pull", "-f", "-q", otherName);
    assert.deepEqual([quiet.stdout, quiet.stderr], ["", ""]);
  });

  test("a list, newest first: as a table, as JSON, as names", async () => {
    const { stdout } = await msb("image", "list");
    const lines = stdout.split("\n");
    assert.match(lines[0] ?? "", /^REFERENCE +DIGEST {17}SIZE +CREATED$/);
    assert.match(
      lines[2] ?? "",
      new RegExp(
        `^${appName} +${app.manifest.digest.slice(0, 19)} +\\d+(\\.\\d)? KiB +\\d{4}-\\d\\d-\\d\\d [\\d:]{8}$`,
      ),
    );
    assert.deepEqual(await listed(), [otherName, appName]);
    const [, item] = JSON.parse((await msb("images", "--format", "json")).stdout) as Record<
      string,
      unknown
    >[];
    const { created_at, ...others } = item ?? {};
    assert.match(String(created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const layers = app.layers.reduce((sum, one) => sum + one.blob.size, 0);
    assert.deepEqual(others, {
      reference: appName,
      digest: app.manifest.digest,
      size_bytes: layers + app.config.size,
      architecture: hostArchitecture,
      os: "linux",
      layer_count: 2,
    });
  });

  test("inspect shows the configuration and the layers, and lets nobody write to the terminal", async () => {
    const { stdout } = await msb("image", "inspect", appName);
    assert.match(stdout, new RegExp(`^Reference: +${appName}\nDigest: +${app.manifest.digest}\n`));
    assert.match(stdout, /^Command: +serve 'two words'$/m);
    assert.match(stdout, /^Environment: +PATH=\/bin\n +ODD=red$/m);
    assert.match(stdout, /^Labels: +maker=test\\nDigest: forged$/m);
    assert.doesNotMatch(stdout, /[\x1b\x9b\x07\u202e]/);
    const json = (await msb("image", "inspect", appName, "--format", "json")).stdout;
    assert.doesNotMatch(json, /[\x1b\x9b\x07\u202e]/);
    const detail = JSON.parse(json) as {
      config: unknown;
      layers: Record<string, unknown>[];
    };
    assert.deepEqual(detail.config, {
      digest: app.config.digest,
      env: ["PATH=/bin", "ODD=\x1b[31mred"],
      cmd: ["serve", "two words"],
      entrypoint: ["/bin/entry"],
      working_dir: "/srv",
      user: "1000",
      labels: hostileLabels,
      stop_signal: "SIGINT",
    });
    assert.deepEqual(
      detail.layers.map(({ media_type: _type, ...rest }) => rest),
      app.layers.map((one, position) => ({
        diff_id: one.diffId,
        blob_digest: one.blob.digest,
        compressed_size_bytes: one.blob.size,
        erofs_size_bytes: null,
        position,
      })),
    );
    const missing = await home.msb("image", "inspect", "not/here");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^error: no image .*not\/here.* is stored here\n {2}→ /);
  });

  test("an archive that stdout does not take ends with the reason", async () => {
    const script = 'exec "$0" "$1" save "$2" >/dev/full';
    const args = ["-c", script, process.execPath, msbProgram, appName];
    await assert.rejects(run("sh", args, { env: home.environment }), {
      code: 1,
      stderr: /^error: cannot write to stdout: no space left on device \(ENOSPC\)\n {2}→ .*\n$/,
    });
  });

  test("save and load, through files and through pipes, docker's archive and the OCI layout", async () => {
    const file = join(directory.path, "app.tar");
    assert.match((await msb("save", "-o", file, appName)).stderr, /^ {3}✓ Saved /);
    const seen = JSON.parse(await skopeo("inspect", `docker-archive:${file}`)) as { Layers: string[] };
    assert.equal(seen.Layers.length, 2);
    await msb("rmi", appName);
    assert.deepEqual(await listed(), [otherName]);
    const loaded = await msb("load", "-i", file);
    assert.equal(loaded.stdout, "");
    assert.match(loaded.stderr, new RegExp(`^ {3}✓ Loaded {7}${appName}`));
    await msb("image", "load", "-q", "-i", file, "-t", "renamed:2");
    assert.ok((await listed()).includes("docker.io/library/renamed:2"));

    const archive = join(directory.path, "piped.tar");
    const piped =
      '"$NODE" "$MSB" save --format oci "$APP" > "$OUT" && "$NODE" "$MSB" load -t piped:1 < "$OUT"';
    const { environment } = home;
    const { MSB, NODE } = {
      MSB: new URL("../../src/cli/main.ts", import.meta.url).pathname,
      NODE: process.execPath,
    };
    await run("sh", ["-c", piped], { env: { ...environment, APP: appName, OUT: archive, MSB, NODE } });
    assert.ok((await listed()).includes("docker.io/library/piped:1"));
    const index = await run("tar", ["-xOf", archive, "index.json"]);
    assert.ok(index.stdout.includes(app.manifest.digest));
    assert.ok(!(await run("tar", ["-tf", archive])).stdout.includes("manifest.json"));

    // What stands at the path is the user's: a link stays one, and a descriptor is written.
    const way = join(directory.path, "way");
    await symlink(archive, way);
    await msb("save", "--format", "oci", "-o", way, "piped:1");
    assert.ok((await lstat(way)).isSymbolicLink());
    const again =
      '"$NODE" "$MSB" save -o /dev/stdout piped:1 2>"$OUT.err" | "$NODE" "$MSB" load -q -t again:1';
    await run("sh", ["-c", again], { env: { ...environment, OUT: archive, MSB, NODE } });
    assert.ok((await listed()).includes("docker.io/library/again:1"));
    const full = await home.msb("save", "-o", "/dev/full", "piped:1");
    assert.equal(full.code, 1);
    assert.match(full.stderr, /^error: cannot write \/dev\/full: .*no space left on device/m);

    const missing = await home.msb("save", "-o", join(directory.path, "none.tar"), appName, "not/here");
    assert.equal(missing.code, 1);
    assert.ok(!existsSync(join(directory.path, "none.tar")));
    const noArchive = await home.start(["load"], "this is no archive").result;
    assert.equal(noArchive.code, 1);
    assert.match(noArchive.stderr, /^error: /);
  });

  test("remove goes on after one that is not there, and ends with 1", async () => {
    const result = await home.msb("image", "rm", "not/here", "piped:1");
    assert.equal(result.code, 1);
    assert.match(result.stderr, /✗ Removed {6}not\/here/);
    assert.match(result.stderr, /✓ Removed {6}piped:1/);
    assert.ok(!(await listed()).includes("docker.io/library/piped:1"));
  });

  test("prune asks, needs --yes where there is nobody to ask, and tells what it removed", async () => {
    const refused = await home.msb("image", "prune");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /--yes/);
    const count = (await listed()).length;
    assert.ok(count > 0);
    {
      using terminal = new Terminal('"$NODE" "$MSB" image prune', home.environment);
      await terminal.shows(/Remove all images that no sandbox uses\? \[y\/N\] /);
      terminal.type("n\r");
      await terminal.ends();
    }
    assert.equal((await listed()).length, count);
    const report = JSON.parse((await msb("image", "prune", "-y", "--format", "json")).stdout) as Record<
      string,
      number
    >;
    assert.deepEqual(Object.keys(report), [
      "image_refs_removed",
      "manifests_removed",
      "layers_removed",
      "fsmeta_removed",
      "vmdk_removed",
      "bytes_reclaimed",
    ]);
    assert.equal(report["image_refs_removed"], count);
    assert.ok((report["bytes_reclaimed"] ?? 0) > 300_000);
    assert.deepEqual(await listed(), []);
  });

  test("a terminal shows a bar for each layer while it is pulled, and takes them away", async () => {
    using terminal = new Terminal(`"$NODE" "$MSB" pull ${appName}`, home.environment);
    await terminal.shows(/[0-9a-f]{12} [^\n]*━[^\n]*(downloaded|unpack)/);
    await terminal.shows(/\x1b\[\d+F\x1b\[J[^━]*✓[^\n]*Pulled/);
    await terminal.ends();
  });

  test("what cannot be pulled is told, and ends with 1", async () => {
    for (const [reference, message] of [
      [`${open.host}/team/app:none`, /^ {3}✗ Pulled [^\n]*\nerror: there is no image /],
      ["Upper/Case", /error: /],
    ] as const) {
      const result = await home.msb("pull", reference);
      assert.equal(result.code, 1);
      assert.match(result.stderr, message);
      assert.equal(result.stdout, "");
    }
    const never = await home.msb("run", "--pull", "never", `${open.host}/team/app:never`, "--", "true");
    assert.equal(never.code, 125);
    assert.match(never.stderr, /the pull policy is never/);
  });
});

describe("logins", () => {
  const secrets = join(home.path, "secrets");
  const login = (given: string, ...more: string[]): Promise<Result> =>
    home.start(
      [
        "registry",
        "login",
        "-u",
        user,
        "--password-stdin",
        "--ca-certs",
        certificates.caFile,
        ...more,
        guarded.host,
      ],
      given,
    ).result;

  test("without any, the list says so on stdout", async () => {
    const none = await msb("registry", "ls");
    assert.deepEqual([none.stdout, none.stderr], ["No registries configured.\n", ""]);
    const logout = await home.msb("registry", "logout", guarded.host);
    assert.equal(logout.code, 1);
    assert.match(logout.stderr, /^error: there is no login for /);
  });

  test("a password that the registry refuses is not kept", async () => {
    const refused = await login("wrong password");
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^error: [^\n]* does not let this user in \(401\): authentication required\n/,
    );
    assert.ok(!refused.stderr.includes("wrong password"));
    assert.ok(!existsSync(secrets));
    assert.equal((await msb("registry", "ls")).stdout, "No registries configured.\n");
    assert.equal((await home.msb("registry", "login", guarded.host)).code, 2);
  });

  test("one that it accepts is kept in a private file, serves pulls and is never shown", async () => {
    const pull = ["pull", "-f", "--ca-certs", certificates.caFile, `${guarded.host}/private:1`];
    const anonymous = await home.msb(...pull);
    assert.equal(anonymous.code, 1);
    assert.match(anonymous.stderr, new RegExp(`msb registry login ${guarded.host}`));

    const accepted = succeeded(await login(`${password}\n`));
    assert.match(accepted.stderr, new RegExp(`✓ Logged in {4}${guarded.host}`));
    const files = join(secrets, "registries");
    const [file = "", ...others] = readdirSync(files);
    assert.deepEqual(others, []);
    assert.equal(statSync(join(files, file)).mode & 0o777, 0o600);
    assert.equal(await readFile(join(files, file), "utf8"), password);
    const config = await readFile(join(home.path, "config.json"), "utf8");
    assert.ok(!config.includes(password));

    const table = (await msb("registry", "ls")).stdout;
    assert.match(table, new RegExp(`^REGISTRY +USERNAME +SOURCE\n${guarded.host} +${user} +file\n$`));
    assert.ok(!table.includes(password));
    await msb(...pull);

    assert.match((await msb("registry", "logout", guarded.host)).stderr, /✓ Logged out/);
    assert.deepEqual(readdirSync(files), []);
    assert.equal((await home.msb(...pull)).code, 1);
  });

  test("--insecure accepts a certificate that nobody vouches for", async () => {
    const args = ["registry", "login", "-u", user, "--password-stdin", guarded.host];
    const strict = await home.start(args, password).result;
    assert.equal(strict.code, 1);
    succeeded(await home.start([...args, "--insecure"], password).result);
    await msb("registry", "logout", "-q", guarded.host);
  });

  test("a terminal is asked for the password and does not show it", async () => {
    const command = `"$NODE" "$MSB" registry login -u ${user} --ca-certs ${certificates.caFile} ${guarded.host}`;
    using terminal = new Terminal(command, home.environment);
    await terminal.shows(new RegExp(`Password of ${user}: `));
    terminal.type(`${password}\r`);
    await terminal.shows(/✓[^\n]*Logged in/);
    await terminal.ends();
    assert.ok(!terminal.shown.includes("wörd"));
    await msb("registry", "logout", guarded.host);
  });
});
