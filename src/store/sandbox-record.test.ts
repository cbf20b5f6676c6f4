import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readRecord } from "./sandbox-record.ts";

test("a record without imageDigest and rootDisk reads with what such a sandbox has", async () => {
  const directory = await mkdtemp(join(tmpdir(), "record-"));
  try {
    const path = join(directory, "config.json");
    await writeFile(path, JSON.stringify(record));
    const read = await readRecord(path);
    assert.equal(read?.record.config.imageDigest, null);
    assert.deepEqual(read.record.config.rootDisk, { kind: "managed", sizeMib: 4096 });
  } finally {
    await rm(directory, { recursive: true });
  }
});

const record = {
  format: 1,
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
