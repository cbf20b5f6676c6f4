import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { draftFromConfig } from "../../config/sandbox/config-object.ts";
import { ToolError, type ToolFailureCode } from "../call/tool-failure.ts";
import { mcpSettings } from "../mcp-settings.ts";
import { Workbench } from "../workbench.ts";
import { checkedCreation } from "./create-config.ts";
import type { CreateInput } from "./create-input.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "msb-create-input-")));
mkdirSync(join(root, "data"));
writeFileSync(join(root, "disk.qcow2"), "");
writeFileSync(join(root, "file"), "");
symlinkSync("/etc", join(root, "etc"));
after(() => {
  rmSync(root, { recursive: true, force: true });
});

const bench = new Workbench(mcpSettings({ MICROSANDBOX_MCP_HOST_PATHS: root }));
const dangerous = new Workbench(
  mcpSettings({ MICROSANDBOX_MCP_HOST_PATHS: root, MICROSANDBOX_MCP_ENABLE_DANGEROUS: "1" }),
);
after(() => Promise.all([bench[Symbol.asyncDispose](), dangerous[Symbol.asyncDispose]()]));

/** What the SDK makes of it: a key that it does not know would be refused. */
async function made(
  input: CreateInput,
  on = bench,
): Promise<ReturnType<ReturnType<typeof draftFromConfig>["finish"]>> {
  return draftFromConfig((await checkedCreation(on, "made", input)).config).finish();
}

async function refused(input: CreateInput, code: ToolFailureCode): Promise<void> {
  await assert.rejects(
    checkedCreation(bench, "made", input),
    (error) => {
      assert.ok(error instanceof ToolError, String(error));
      assert.equal(error.failure.code, code);
      return true;
    },
    JSON.stringify(input),
  );
}

test("without anything it is a small one that ends with the client", async () => {
  const { image, ephemeral, detached } = await made({});
  assert.deepEqual([image, ephemeral, detached], [{ kind: "oci", reference: "localhost/base" }, true, false]);
  assert.equal((await made({ lifecycle: { detached: true } })).ephemeral, false);
  assert.equal((await made({ lifecycle: { ephemeral: false } })).ephemeral, false);
});

test("all that can be said reaches the configuration", async () => {
  const config = await made({
    resources: { cpus: 2, memoryMib: 256 },
    labels: { a: "b" },
    process: {
      env: { A: "1" },
      workdir: "/w",
      user: "nobody",
      shell: "/bin/ash",
      hostname: "h",
      cmd: ["x"],
      scripts: { go: "echo" },
      rlimits: [{ resource: "nofile", soft: 64 }],
    },
    mounts: [
      { guestPath: "/data", bind: "data", readonly: true },
      { guestPath: "/cache", volume: "cache" },
      { guestPath: "/mem", tmpfs: true, sizeMib: 8 },
    ],
    patches: [
      { kind: "text", path: "/etc/motd", content: "hi", replace: true },
      { kind: "copyFile", src: "file", dst: "/file" },
    ],
    network: {
      ports: [{ hostPort: 0, guestPort: 80 }],
      maxConnections: 7,
      trustHostCas: true,
      ipv4Pool: "10.9.0.0/16",
      dns: { nameservers: ["192.0.2.1"], queryTimeoutMs: 500 },
      tls: { ports: [443], bypassDomains: ["a.example.com"], blockQuic: true },
    },
    secrets: [{ envVar: "KEY", value: "value-of-key", allowedHost: "api.example.com" }],
    lifecycle: {
      replace: true,
      replaceTimeoutMs: 5,
      maxDurationSecs: 60,
      idleTimeoutSecs: 30,
      logLevel: "info",
    },
  });
  const { image } = await made({ rootfs: { disk: { path: "disk.qcow2", fstype: "ext4" } } });
  assert.deepEqual(image, {
    kind: "disk",
    path: join(root, "disk.qcow2"),
    format: "qcow2",
    fstype: "ext4",
  });
  const { network } = config;
  assert.ok(network !== null);
  assert.deepEqual([config.cpus, config.memoryMib, config.labels], [2, 256, { a: "b" }]);
  assert.deepEqual(
    [config.env, config.workdir, config.user, config.shell, config.hostname],
    [[["A", "1"]], "/w", "nobody", "/bin/ash", "h"],
  );
  assert.deepEqual(config.rlimits, [{ resource: "nofile", soft: 64, hard: 64 }]);
  assert.deepEqual(
    config.mounts.map((mount) => [mount.kind, mount.guest]),
    [
      ["bind", "/data"],
      ["named", "/cache"],
      ["tmpfs", "/mem"],
    ],
  );
  assert.deepEqual(
    config.patches.map(({ kind }) => kind),
    ["text", "copyFile"],
  );
  assert.deepEqual(
    [network.maxConnections, network.trustHostCAs, network.dns?.queryTimeoutMs],
    [7, true, 500],
  );
  assert.deepEqual(network.tls?.interceptedPorts, [443]);
  assert.deepEqual(
    config.ports.map(({ hostBind, guestPort }) => [hostBind, guestPort]),
    [["127.0.0.1", 80]],
  );
  assert.deepEqual([config.maxDurationSecs, config.idleTimeoutSecs, config.logLevel], [60, 30, "info"]);
  assert.doesNotMatch(JSON.stringify(config), /value-of-key/);
  assert.equal(bench.secrets.scrub("value-of-key"), "[redacted]");
});

test("no path of the host leads out of what is allowed, wherever it is said", async () => {
  for (const path of ["/etc", "../x", "etc/passwd", "etc"])
    for (const input of [
      { rootfs: { bind: path } },
      { rootfs: { disk: { path } } },
      { mounts: [{ guestPath: "/m", bind: path }] },
      { mounts: [{ guestPath: "/m", disk: path }] },
      { patches: [{ kind: "copyFile", src: path, dst: "/x" }] },
      { network: { tls: { caCertPath: path } } },
      { network: { tls: { caKeyPath: path } } },
      { network: { tls: { upstreamCaCertPaths: [path] } } },
    ] as const satisfies readonly CreateInput[])
      await refused(input, "host_path_denied");
  // An image is never a path.
  for (const image of ["/etc", "./data", "x.qcow2"])
    assert.deepEqual((await made({ image })).image, { kind: "oci", reference: image });
});

test("what reaches further needs the permission of whoever runs the server", async () => {
  process.env["MSB_TEST_MCP_SECRET"] = "value-of-the-host";
  const inputs: readonly CreateInput[] = [
    { network: { ports: [{ hostPort: 0, guestPort: 80, bindAddress: "0.0.0.0" }] } },
    { network: { ports: [{ hostPort: 0, guestPort: 80, bindAddress: "::" }] } },
    { network: { dns: { allowRebind: true } } },
    { secrets: [{ envVar: "KEY", valueEnv: "MSB_TEST_MCP_SECRET", allowedHost: "api.example.com" }] },
  ];
  for (const input of inputs) {
    await refused(input, "dangerous_operation_disabled");
    await made(input, dangerous);
  }
  for (const allowedHost of ["*", "*.com"])
    await refused(
      { secrets: [{ envVar: "KEY", value: "value", allowedHost }] },
      "dangerous_operation_disabled",
    );
  delete process.env["MSB_TEST_MCP_SECRET"];
});

test("what is said twice, or not at all, is refused", async () => {
  const inputs: readonly CreateInput[] = [
    { image: "a", rootfs: { oci: "b" } },
    { rootfs: {} },
    { rootfs: { oci: "a", snapshot: "b" } },
    {
      mounts: [
        { guestPath: "/m", tmpfs: true },
        { guestPath: "/m", tmpfs: true },
      ],
    },
    { secrets: [{ envVar: "KEY", allowedHost: "a.example.com" }] },
    { secrets: [{ envVar: "KEY", value: "a", valueEnv: "B", allowedHost: "a.example.com" }] },
  ];
  for (const input of inputs) await refused(input, "invalid_input");
});
