import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { JsonError, UnsupportedOperationError } from "../errors/index.ts";
import { networkOf } from "../config/network/network-of.ts";
import { filledNetwork } from "../config/network/network-settings.ts";
import { configOf } from "../config/sandbox/effective-config.ts";
import { newRecord, readRecord, type ReadRecord } from "./sandbox-record.ts";

async function reading(content: object): Promise<ReadRecord | null> {
  const directory = await mkdtemp(join(tmpdir(), "record-"));
  try {
    const path = join(directory, "config.json");
    await writeFile(path, JSON.stringify(content));
    return await readRecord(path);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("a record without imageDigest and rootDisk reads with what such a sandbox has", async () => {
  const read = await reading(record);
  assert.equal(read?.record.config.imageDigest, null);
  assert.deepEqual(read.record.config.rootDisk, { kind: "managed", sizeMib: 4096 });
});

test("a record of a later version is read when it asks for nothing new", async () => {
  const later = { secrets: {}, maxCpus: null, noNewPrivileges: false };
  const read = await reading({ ...record, config: { ...record.config, ...later } });
  assert.equal(read?.record.config.cpus, 1);
});

for (const later of [
  { maxCpus: 4 },
  { vsock: ["/tmp/a.sock"] },
  { security: "restricted" },
  { trace: true },
]) {
  const [key = ""] = Object.keys(later);
  test(`a record of a later version that asks for ${key} is refused by name`, async () => {
    await assert.rejects(reading({ ...record, config: { ...record.config, ...later } }), (error) => {
      assert.ok(error instanceof UnsupportedOperationError);
      assert.match(error.message, new RegExp(`\\b${key}\\b`));
      assert.match(error.hint, /later version/);
      return true;
    });
  });
}

test("a record that does not say what network there is has none, whatever it says", async () => {
  const { disableNetwork: _, ...before } = record.config;
  for (const format of [1, 2])
    for (const config of [record.config, { ...record.config, disableNetwork: true }, before]) {
      const read = await reading({ ...record, format, config });
      assert.ok(read !== null);
      assert.deepEqual([read.record.format, read.record.config.disableNetwork], [2, true]);
      assert.equal(networkOf(read.record.config), null);
      assert.equal(configOf(read.record).network?.enabled, false);
      assert.equal(read.record.config.memoryMib, 128);
    }
});

test("a new sandbox's record says what network it has", async () => {
  const read = await reading(record);
  assert.ok(read !== null);
  const { id, name, createdAt, config } = read.record;
  const network = filledNetwork(null);
  const made = newRecord({ id, name, createdAt, config: { ...config, disableNetwork: false, network } });
  const again = await reading(made);
  assert.deepEqual(again?.record, made);
  assert.deepEqual(networkOf(made.config), {
    ...network,
    ports: [],
    proxy: null,
    deploymentProfile: "single-tenant",
  });
});

test("the record of a sandbox without a network is one that older versions read", async () => {
  const read = await reading(record);
  assert.equal(read?.record.config.network, null);
});

test("a record of a later format is not taken for a damaged one", async () => {
  await assert.rejects(reading({ ...record, format: 3 }), (error) => {
    assert.ok(error instanceof UnsupportedOperationError);
    assert.match(error.hint, /later version/);
    return true;
  });
  for (const format of [0, "2", null]) await assert.rejects(reading({ ...record, format }), JsonError);
});

test("a record with a value of another kind is damaged", async () => {
  for (const wrong of [
    { cpus: "1" },
    { rlimits: [{ resource: "files", soft: 1, hard: 1 }] },
    { hostname: null },
  ])
    await assert.rejects(reading({ ...record, config: { ...record.config, ...wrong } }), JsonError);
});

const record = {
  format: 2,
  id: "0123456789abcdef",
  name: "older",
  createdAt: "2026-01-01T00:00:00.000Z",
  config: {
    image: { kind: "oci", reference: "localhost/base" },
    cpus: 1,
    memoryMib: 128,
    logLevel: null,
    quietLogs: false,
    workdir: null,
    shell: "/bin/sh",
    hostname: "older",
    user: null,
    entrypoint: null,
    cmd: null,
    env: [],
    scripts: [],
    labels: {},
    rlimits: [],
    pullPolicy: "if-missing",
    maxDurationSecs: null,
    idleTimeoutSecs: null,
    ephemeral: false,
    disableNetwork: false,
    metricsSampleIntervalMs: 1000,
    thp: "madvise",
    kernelPath: null,
  },
};
