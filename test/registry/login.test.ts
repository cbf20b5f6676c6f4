import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { HttpError, ImageError, InvalidConfigError } from "../../src/errors/index.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import type { RegistryOptions } from "../../src/image/registry/settings.ts";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { image, layer, newHome, push, scratch, type BuiltImage } from "./images.ts";
import { RegistryServer } from "./registry-server.ts";
import { TokenServer } from "./token-server.ts";

const run = promisify(execFile);
const quick = { attempts: 2, baseMs: 5, maximumMs: 50 };
const auth = { kind: "basic", username: "user", password: "pass:word" } as const;
const password = "pass:word";

let directory: Awaited<ReturnType<typeof scratch>>;
let certificates: Certificates;
let server: RegistryServer;
let tokens: TokenServer;
let tokenRegistry: RegistryServer;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  certificates = await makeCertificates(directory.path);
  const { stdout } = await run("htpasswd", ["-Bbn", "user", password]);
  const htpasswd = join(directory.path, "htpasswd");
  await writeFile(htpasswd, stdout);
  server = await RegistryServer.start(directory.path, {
    tls: `{certificate: ${certificates.certFile}, key: ${certificates.keyFile}}`,
    auth: `{htpasswd: {realm: test, path: ${htpasswd}}}`,
  });
  built = image([await layer({ file: "content" })]);
  await push(built, `${server.host}/private:1`, "--dest-creds", `user:${password}`);

  tokens = new TokenServer(certificates);
  await tokens.start();
  const second = join(directory.path, "second");
  await mkdir(second);
  // The same storage, filled before without any login.
  const open = await RegistryServer.start(second);
  await push(built, `${open.host}/guarded:1`);
  await open[Symbol.asyncDispose]();
  tokenRegistry = await RegistryServer.start(second, { auth: tokens.registrySettings });
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await tokenRegistry[Symbol.asyncDispose]();
  await tokens[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function pull(
  registry: RegistryOptions | undefined,
  options: Partial<PullOptions> = {},
): Promise<PulledImage> {
  const home = options.home ?? (await newHome(directory.path));
  const environment = { HOME: directory.path };
  return pullImage(`${server.host}/private:1`, { home, environment, retry: quick, registry, ...options });
}

test("TLS and a password: the CA that was added is trusted, and nothing else is", async () => {
  const caCertificates = [certificates.caPem];
  const pulled = await pull({ auth, caCertificates });
  assert.equal(pulled.manifestDigest, built.manifest.digest);
  await assert.rejects(pull({ auth }), (error) => {
    assert.ok(error instanceof HttpError);
    assert.match(error.hint, /caCerts|insecure/);
    return true;
  });
});

test("insecure takes any certificate", async () => {
  assert.equal((await pull({ auth, insecure: true })).manifestDigest, built.manifest.digest);
});

test("a wrong password, and none, are refused with what to do, and the password is not told", async () => {
  const caCertificates = [certificates.caPem];
  const wrong = { ...auth, password: "wrong-password" };
  for (const [registry, hint] of [
    [{ caCertificates, auth: wrong }, /password/],
    [{ caCertificates, auth: { kind: "anonymous" } }, /registry login/],
    [{ caCertificates }, /registry login/],
  ] as const) {
    await assert.rejects(pull(registry), (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, /does not let/);
      assert.match(error.hint, hint);
      assert.ok(
        !JSON.stringify(error).includes("wrong-password") && !String(error.stack).includes("wrong-password"),
      );
      return true;
    });
  }
});

test("config.json: certificates, and the password from the environment or a file", async () => {
  const home = await newHome(directory.path);
  const secrets = join(home.root, "secrets", "registries");
  await mkdir(secrets, { recursive: true });
  await writeFile(join(secrets, "test"), `${password}\n`);
  const entries = [{ password_env: "THE_PASSWORD" }, { secret_name: "test" }];
  for (const entry of entries) {
    const registries = {
      ca_certs: certificates.caFile,
      hosts: { [server.host]: { auth: { username: "user", ...entry } } },
    };
    await writeFile(home.configFile, JSON.stringify({ registries }));
    const environment = { HOME: directory.path, THE_PASSWORD: password };
    await pull(undefined, { home, environment, policy: "always" });
    // The caller's word counts more.
    const registry: RegistryOptions = { auth: { kind: "anonymous" } };
    await assert.rejects(pull(registry, { home, environment, policy: "always" }), ImageError);
  }
  await writeFile(
    home.configFile,
    JSON.stringify({
      registries: { hosts: { x: { auth: { username: "u", password_env: "A", secret_name: "b" } } } },
    }),
  );
  await assert.rejects(pull(undefined, { home, policy: "always" }), InvalidConfigError);
});

test("docker's configuration: plain, by the general helper, by the registry's own helper", async () => {
  const caCertificates = [certificates.caPem];
  const bin = join(directory.path, "bin");
  await mkdir(bin);
  const helper = async (name: string, secret: string): Promise<void> => {
    const path = join(bin, `docker-credential-${name}`);
    const script = [
      "#!/bin/sh",
      "read -r server",
      `[ "$server" = "${server.host}" ] || { echo "credentials not found in native keychain"; exit 1; }`,
      `echo '{"ServerURL":"x","Username":"user","Secret":"${secret}"}'`,
    ];
    await writeFile(path, script.join("\n") + "\n");
    await chmod(path, 0o755);
  };
  await helper("good", password);
  await helper("wrong", "not it");
  const plain = Buffer.from(`user:${password}`).toString("base64");
  const { host } = server;
  const cases: readonly (readonly [string, object, boolean])[] = [
    ["plain", { auths: { [host]: { auth: plain } } }, true],
    ["as a URL", { auths: { [`https://${host}/v1/`]: { auth: plain } } }, true],
    ["for another registry", { auths: { "example.org": { auth: plain } } }, false],
    ["general helper", { credsStore: "good" }, true],
    ["own helper before the general one", { credsStore: "wrong", credHelpers: { [host]: "good" } }, true],
    ["own helper of another registry", { credsStore: "good", credHelpers: { "example.org": "wrong" } }, true],
    [
      "general helper that is missing, plain login",
      { credsStore: "missing", auths: { [host]: { auth: plain } } },
      true,
    ],
    ["general helper that is missing", { credsStore: "missing" }, false],
    ["helper whose name leads elsewhere", { credsStore: "../x" }, false],
  ];
  for (const [name, config, works] of cases) {
    const docker = join(directory.path, `docker ${name}`);
    await mkdir(docker);
    await writeFile(join(docker, "config.json"), JSON.stringify(config));
    const environment = {
      HOME: "/nonexistent",
      DOCKER_CONFIG: docker,
      PATH: `${bin}:${process.env["PATH"] ?? ""}`,
    };
    const pulling = pull({ caCertificates }, { environment });
    if (works) await pulling;
    else await assert.rejects(pulling, ImageError, name);
  }
  // The error says that a helper is missing: it may be why the registry refuses.
  const docker = join(directory.path, "docker general helper that is missing");
  await assert.rejects(
    pull({ caCertificates }, { environment: { DOCKER_CONFIG: docker, PATH: bin } }),
    (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.hint, /docker-credential-missing cannot be run/);
      return true;
    },
  );
});

async function pullGuarded(options: Partial<PullOptions> = {}): Promise<PulledImage> {
  const home = await newHome(directory.path);
  const reference = `${tokenRegistry.host}/guarded:1`;
  return pullImage(reference, { home, environment: { HOME: "/nonexistent" }, retry: quick, ...options });
}

test("a token is got for everyone, for the right scope and service, and used again", async () => {
  tokens.seen.length = 0;
  const pulled = await pullGuarded();
  assert.equal(pulled.manifestDigest, built.manifest.digest);
  assert.equal(tokens.seen.length, 1);
  const [seen] = tokens.seen;
  assert.ok(seen !== undefined);
  assert.equal(seen.authorization, undefined);
  assert.equal(seen.query.get("service"), "test-registry");
  assert.equal(seen.query.get("scope"), "repository:guarded:pull");
});

test("a token is got with a password, and refused with a wrong one", async () => {
  tokens.required = `Basic ${Buffer.from("user:pass:word").toString("base64")}`;
  try {
    await pullGuarded({ registry: { auth } });
    await assert.rejects(pullGuarded({ registry: { auth: { ...auth, password: "no" } } }), (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, /refuses the user name or password/);
      return true;
    });
    await assert.rejects(pullGuarded(), /no anonymous access/);
  } finally {
    tokens.required = null;
  }
});

test("an identity token of docker's configuration is exchanged by POST", async () => {
  tokens.seen.length = 0;
  tokens.required = "never";
  const docker = join(directory.path, "docker identity");
  await mkdir(docker);
  const auths = { [tokenRegistry.host]: { identitytoken: "long-lived" } };
  await writeFile(join(docker, "config.json"), JSON.stringify({ auths }));
  try {
    await pullGuarded({ environment: { DOCKER_CONFIG: docker } });
  } finally {
    tokens.required = null;
  }
  assert.deepEqual(
    tokens.seen.map(({ method }) => method),
    ["POST"],
  );
  assert.equal(tokens.seen[0]?.form.get("grant_type"), "refresh_token");
});

test("a token that the registry no longer takes is renewed once, not for ever", async () => {
  tokens.seen.length = 0;
  tokens.lifetime = -300;
  try {
    await assert.rejects(pullGuarded(), (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, /does not let anonymous users read guarded/);
      return true;
    });
    assert.equal(tokens.seen.length, 1);
  } finally {
    tokens.lifetime = 300;
  }
  // One that says that it expires soon is not kept.
  tokens.seen.length = 0;
  tokens.announced = 1;
  try {
    await pullGuarded();
    assert.ok(tokens.seen.length > 1);
  } finally {
    tokens.announced = 300;
  }
});
