import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { draftFromConfig } from "./config-object.ts";
import type { SandboxConfig } from "./sandbox-config.ts";

const finish = (fields: object): SandboxConfig =>
  draftFromConfig({ name: "one", image: "localhost/base", ...fields }).finish();

for (const [fields, path, meant] of [
  [{ memoryMiB: 512 }, "memoryMiB", "memoryMib"],
  [{ memory_mib: 512 }, "memory_mib", "memoryMib"],
  [{ disableNetwrok: true }, "disableNetwrok", "disableNetwork"],
  [{ netwrok: {} }, "netwrok", "network"],
  [{ image: { kind: "oci", reference: "x", refrence: "y" } }, "image.refrence", "reference"],
  [{ image: { kind: "bind", path: "/x", format: "raw" } }, "image.format", null],
  [{ image: { kind: "disk", path: "/x", format: "raw", fsType: "ext4" } }, "image.fsType", "fstype"],
  [{ rootDisk: { kind: "tmpfs", size_mib: 5 } }, "rootDisk.size_mib", "sizeMib"],
  [
    {
      rlimits: [
        { resource: "nofile", soft: 1, hard: 1 },
        { resource: "core", soft: 1, hrad: 1 },
      ],
    },
    "rlimits[1].hrad",
    "hard",
  ],
  [{ registry: { insecur: true } }, "registry.insecur", "insecure"],
  [{ registry: { auth: { username: "me", pasword: "hunter2" } } }, "registry.auth.pasword", "password"],
  [{ registryAuth: { user_name: "me", password: "hunter2" } }, "registryAuth.user_name", "username"],
  [{ quantum: true }, "quantum", null],
] as const) {
  test(`${path} is refused by name, and no value is told`, () => {
    assert.throws(
      () => finish(fields),
      (error) => {
        assert.ok(error instanceof InvalidConfigError);
        assert.ok(error.message.includes(`"${path}"`), error.message);
        assert.equal(/did you mean "(\w+)"/.exec(error.message)?.[1] ?? null, meant);
        assert.notEqual(error.hint, "");
        assert.ok(!`${error.message} ${error.hint}`.includes("hunter2"));
        return true;
      },
    );
  });
}

test("a key with the value undefined is not there", () => {
  assert.equal(finish({ nothing: undefined, cpus: undefined }).cpus, null);
});

test("registry.auth wins over registryAuth, which goes with the rest of registry", () => {
  const [mine, yours] = [
    { username: "me", password: "1" },
    { username: "you", password: "2" },
  ];
  const registry = (fields: object): unknown => finish(fields).registry?.auth;
  assert.deepEqual(registry({ registryAuth: mine }), { kind: "basic", ...mine });
  assert.deepEqual(registry({ registryAuth: mine, registry: { auth: yours } }), { kind: "basic", ...yours });
  assert.deepEqual(registry({ registryAuth: mine, registry: { auth: { kind: "anonymous" } } }), {
    kind: "anonymous",
  });
  assert.deepEqual(finish({ registryAuth: mine, registry: { insecure: true, auth: null } }).registry, {
    ...{ auth: { kind: "basic", ...mine }, insecure: true },
    ...{ caCerts: [], caCertsCount: 0 },
  });
});

test("what can never be suspended is not to be suspended with the host", () => {
  const refused = (fields: object, why: RegExp): void => {
    assert.throws(
      () => finish({ onHostShutdown: "suspend", ...fields }),
      (error) => {
        assert.ok(error instanceof InvalidConfigError);
        assert.match(error.message, why);
        assert.match(error.hint, /Leave onHostShutdown out/);
        return true;
      },
    );
    assert.equal(finish({ onHostShutdown: "stop", ...fields }).onHostShutdown, "stop");
  };
  refused({ ephemeral: true }, /ephemeral/);
  refused({ image: { kind: "bind", path: "/srv" } }, /its root is a directory/);
  refused({ volumes: { "/in": { bind: "/srv" } } }, /mounted at \/in/);
  assert.equal(finish({ onHostShutdown: "suspend" }).onHostShutdown, "suspend");
  assert.equal(finish({ onHostShutdown: "suspend", volumes: { "/t": { tmpfs: true } } }).ephemeral, false);
  assert.throws(() => finish({ onHostShutdown: "pause" }), /onHostShutdown/);
});
