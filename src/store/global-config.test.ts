import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InvalidConfigError, UnsupportedOperationError } from "../errors/index.ts";
import { configuredRootDisk } from "../config/global/global-config.ts";
import { readGlobalConfig } from "./global-config.ts";
import { locateHome } from "./home.ts";

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-config-"));
});

after(() => rm(directory, { recursive: true }));

/** What the settings say of images. */
async function rootDiskOf(oci: unknown): Promise<unknown> {
  const home = locateHome({ MSB_HOME: directory });
  await writeFile(home.configFile, JSON.stringify({ sandbox_defaults: { oci } }));
  return configuredRootDisk(await readGlobalConfig(home));
}

test("a missing file has no settings", async () => {
  const home = locateHome({ MSB_HOME: join(directory, "missing") });
  assert.deepEqual(await readGlobalConfig(home), {});
  assert.equal(configuredRootDisk({}), null);
});

for (const [oci, disk] of [
  [{}, null],
  [{ root_disk: null, upper_size_mib: null }, null],
  [{ root_disk: 8192 }, { kind: "managed", sizeMib: 8192 }],
  [
    { upper_size_mib: 16, root_disk: null },
    { kind: "managed", sizeMib: 16 },
  ],
  [{ root_disk: { kind: "managed", size_mib: 100 } }, { kind: "managed", sizeMib: 100 }],
  [{ root_disk: { kind: "tmpfs", size_mib: 1 } }, { kind: "tmpfs", sizeMib: 1 }],
  [{ root_disk: { kind: "tmpfs" } }, { kind: "tmpfs", sizeMib: null }],
  [{ root_disk: { kind: "tmpfs", size_mib: null } }, { kind: "tmpfs", sizeMib: null }],
] as const) {
  test(`root disk ${JSON.stringify(oci)}`, async () => {
    assert.deepEqual(await rootDiskOf(oci), disk);
  });
}

for (const [oci, says] of [
  [{ root_disk: 100, upper_size_mib: 100 }, /oci: .*exclude each other/],
  [{ root_disk: 15 }, /oci\.root_disk: .*>=16/],
  [{ root_disk: 1.5 }, /oci\.root_disk/],
  [{ root_disk: "8G" }, /oci\.root_disk: is neither a size of 16 to 16777216 MiB/],
  [{ root_disk: 2 ** 24 + 1 }, /oci\.root_disk/],
  [{ root_disk: { kind: "managed" } }, /oci\.root_disk/],
  [{ root_disk: { kind: "tmpfs", size_mib: 0 } }, /oci\.root_disk/],
  [{ root_disk: { kind: "tmpfs", sizeMib: 5 } }, /oci\.root_disk/],
  [{ root_disk: { kind: "flat" } }, /oci\.root_disk/],
  [{ upper_size_mib: 15 }, /oci\.upper_size_mib/],
] as const) {
  test(`root disk ${JSON.stringify(oci)} is refused`, async () => {
    await assert.rejects(rootDiskOf(oci), (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.match(error.message, says);
      assert.notEqual(error.hint, "");
      return true;
    });
  });
}

for (const images of [
  { max_download_mib: 0 },
  { max_unpacked_mib: 1.5 },
  { max_rootfs_mib: "1G" },
  { max_file_mib: 2 ** 32 + 1 },
  { max_metadata_mib: -1 },
  { max_entries: 0 },
]) {
  const [key = ""] = Object.keys(images);
  test(`images.${key} takes no ${JSON.stringify(Object.values(images)[0])}`, async () => {
    const home = locateHome({ MSB_HOME: directory });
    await writeFile(home.configFile, JSON.stringify({ images }));
    await assert.rejects(readGlobalConfig(home), (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.ok(error.message.includes(`images.${key}`), error.message);
      return true;
    });
  });
}

for (const [content, path, meant] of [
  [{ loglevel: "info" }, "loglevel", "log_level"],
  [{ sandbox_default: {} }, "sandbox_default", "sandbox_defaults"],
  [{ sandbox_defaults: { memoryMib: 512 } }, "sandbox_defaults.memoryMib", "memory_mib"],
  [{ sandbox_defaults: { cpu: 2 } }, "sandbox_defaults.cpu", "cpus"],
  [
    { sandbox_defaults: { oci: { root_disk: { kind: "tmpfs", sizeMib: 5 } } } },
    "sandbox_defaults.oci.root_disk.sizeMib",
    "size_mib",
  ],
  [{ templates: { enable: false } }, "templates.enable", "enabled"],
  [{ images: { max_entires: 5 } }, "images.max_entires", "max_entries"],
  [{ registries: { ca_cert: "/x" } }, "registries.ca_cert", "ca_certs"],
  [
    { registries: { hosts: { "ghcr.io": { insecur: true } } } },
    "registries.hosts.ghcr.io.insecur",
    "insecure",
  ],
  [
    { registries: { hosts: { "ghcr.io": { auth: { username: "me", password: "hunter2" } } } } },
    "registries.hosts.ghcr.io.auth.password",
    "password_env",
  ],
  [{ colour: "red" }, "colour", null],
] as const) {
  test(`${path} is refused by name, and no value is told`, async () => {
    const home = locateHome({ MSB_HOME: directory });
    await writeFile(home.configFile, JSON.stringify(content));
    await assert.rejects(readGlobalConfig(home), (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.ok(error.message.includes(`${home.configFile}: `), error.message);
      assert.ok(error.message.includes(`"${path}"`), error.message);
      assert.equal(/did you mean "(\w+)"/.exec(error.message)?.[1] ?? null, meant);
      assert.ok(!error.message.includes("hunter2"));
      return true;
    });
  });
}

for (const [content, path] of [
  [[], "the file"],
  [{ paths: [] }, "paths"],
  [{ sandbox_defaults: [{ cpus: 2 }] }, "sandbox_defaults"],
  [{ registries: { hosts: [] } }, "registries.hosts"],
  [{ registries: { hosts: { "ghcr.io": [] } } }, "registries.hosts.ghcr.io"],
  [5, "the file"],
  [{ sandbox_defaults: { workdir: "tmp" } }, "sandbox_defaults.workdir"],
  [{ sandbox_defaults: { shell: "" } }, "sandbox_defaults.shell"],
  [{ sandbox_defaults: { shell: "\0" } }, "sandbox_defaults.shell"],
  [{ registries: { hosts: { constructor: { insecure: 1 } } } }, "registries.hosts.constructor.insecure"],
] as const) {
  test(`${JSON.stringify(content)} is no configuration`, async () => {
    const home = locateHome({ MSB_HOME: directory });
    await writeFile(home.configFile, JSON.stringify(content));
    await assert.rejects(readGlobalConfig(home), (error) => {
      assert.ok(error instanceof InvalidConfigError);
      assert.ok(error.message.includes(`${home.configFile}: ${path}`), error.message);
      assert.notEqual(error.hint, "");
      return true;
    });
  });
}

test("a host may have the name of what every object has", async () => {
  const home = locateHome({ MSB_HOME: directory });
  await writeFile(home.configFile, '{"registries":{"hosts":{"__proto__":{"insecure":true}}}}');
  const { registries } = await readGlobalConfig(home);
  assert.deepEqual(Object.entries(registries?.hosts ?? {}), [["__proto__", { insecure: true }]]);
});

test("a key of a later version is named, unless it asks for what is done anyway", async () => {
  const home = locateHome({ MSB_HOME: directory });
  for (const content of [
    { profiles: { other: { backend: "cloud" } } },
    { paths: { cache: "/var/cache" } },
    { sandbox_defaults: { cpu_placement: "spread" } },
  ]) {
    await writeFile(home.configFile, JSON.stringify(content));
    await assert.rejects(readGlobalConfig(home), UnsupportedOperationError);
  }
  const harmless = {
    home: null,
    profiles: {},
    sandbox_defaults: { cpu_placement: "inherit" },
    paths: { msb: null },
  };
  await writeFile(home.configFile, JSON.stringify(harmless));
  await readGlobalConfig(home);
});
