import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { JsonError, UnsupportedOperationError } from "../errors/index.ts";
import { readRecord, type ReadRecord } from "./sandbox-record.ts";

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
  const later = { ports: [], secrets: {}, maxCpus: null, noNewPrivileges: false };
  const read = await reading({ ...record, config: { ...record.config, ...later } });
  assert.equal(read?.record.config.cpus, 1);
});

for (const later of [
  { maxCpus: 4 },
  { network: { policy: "none" } },
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

test("a record of format 1 says that the sandbox has no network, whatever it says", async () => {
  const { disableNetwork: _, ...before } = record.config;
  for (const config of [record.config, { ...record.config, disableNetwork: true }, before]) {
    const read = await reading({ ...record, format: 1, config });
    assert.deepEqual([read?.record.format, read?.record.config.disableNetwork], [2, true]);
    assert.equal(read?.record.config.memoryMib, 128);
  }
  const now = await reading(record);
  assert.equal(now?.record.config.disableNetwork, false);
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
