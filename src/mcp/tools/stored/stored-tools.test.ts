import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { stoppedSandbox } from "../../../../test/support/stopped-sandbox.ts";
import { locateHome } from "../../../store/home.ts";
import { ToolError } from "../../call/tool-failure.ts";
import type { Outcome } from "../../call/outcome.ts";
import { mcpSettings } from "../../mcp-settings.ts";
import { Workbench } from "../../workbench.ts";
import { tools } from "../tool-list.ts";

const directory = realpathSync(mkdtempSync(join(tmpdir(), "msb-mcp-stored-")));
const shared = join(directory, "shared");
mkdirSync(shared);
process.env["MSB_HOME"] = join(directory, "home");
const bench = new Workbench(
  mcpSettings({ MICROSANDBOX_MCP_HOST_PATHS: shared, MICROSANDBOX_MCP_MAX_OUTPUT_BYTES: "1024" }),
);
before(async () => {
  const home = locateHome();
  await stoppedSandbox(home, "box", { labels: { stage: "test" } });
  await stoppedSandbox(home, "other", { env: { API_TOKEN: "do-not-tell" } });
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function call(name: string, input: object): Promise<Outcome> {
  const tool = tools.find((one) => one.name === name);
  assert.ok(tool !== undefined, name);
  return await tool.run(input, { bench, signal: new AbortController().signal, progress: () => undefined });
}

async function data(name: string, input: object): Promise<Record<string, unknown>> {
  return (await call(name, input)).data as Record<string, unknown>;
}

async function names(selector: object): Promise<readonly string[]> {
  const { sandboxes } = (await data("sandbox_list", selector)) as { sandboxes: readonly { name: string }[] };
  return sandboxes.map(({ name }) => name).toSorted();
}

test("sandboxes are selected by name, label and status, and their secrets are not told", async () => {
  assert.deepEqual(await names({}), ["box", "other"]);
  assert.deepEqual(await names({ labels: { stage: "test" } }), ["box"]);
  assert.deepEqual(await names({ names: ["box", "other"], labels: { stage: "no" } }), []);
  assert.deepEqual(await names({ status: "running" }), []);
  const { sandboxes } = await data("sandbox_status", {});
  assert.deepEqual(sandboxes, []);
  const inspected = JSON.stringify(await data("sandbox_inspect", { name: "other" }));
  assert.match(inspected, /API_TOKEN/);
  assert.doesNotMatch(inspected, /do-not-tell/);
});

test("of several that are removed, one that fails takes no other with it", async () => {
  await stoppedSandbox(locateHome(), "gone");
  const { results } = await data("sandbox_remove", { names: ["gone"] });
  assert.deepEqual(results, [{ name: "gone", ok: true, status: "removed" }]);
  await assert.rejects(call("sandbox_remove", { name: "gone" }), /gone/);
});

test("a snapshot is taken, looked at, saved to a file, loaded again and removed", async () => {
  assert.equal(
    (await data("snapshot_create", { name: "shot", sandbox: "box", recordIntegrity: true }))["name"],
    "shot",
  );
  assert.equal((await data("snapshot_inspect", { name: "shot" }))["sourceSandbox"], "box");
  assert.equal(
    ((await data("snapshot_verify", { name: "shot" }))["upper"] as { kind: string }).kind,
    "verified",
  );
  const saved = await data("snapshot_save", { name: "shot", hostPath: "shot.tar.zst" });
  assert.equal(saved["hostPath"], join(shared, "shot.tar.zst"));
  assert.deepEqual(readdirSync(shared), ["shot.tar.zst"]);
  await assert.rejects(
    call("snapshot_save", { name: "shot", hostPath: "shot.tar.zst" }),
    (error) => error instanceof ToolError && /there already/.test(error.message),
  );
  // Into a directory it goes under its name.
  mkdirSync(join(shared, "archives"));
  assert.equal(
    (await data("snapshot_save", { name: "shot", hostPath: "archives" }))["hostPath"],
    join(shared, "archives/shot.tar.zst"),
  );
  await data("snapshot_remove", { name: "shot" });
  assert.deepEqual((await data("snapshot_list", {}))["snapshots"], []);
  assert.equal((await data("snapshot_load", { hostPath: "shot.tar.zst" }))["name"], "shot");
  assert.deepEqual(await data("snapshot_reindex", {}), { snapshots: 1 });
  await assert.rejects(call("snapshot_create", { name: "shot", sandbox: "box" }), /shot/);
  await data("snapshot_create", { name: "shot", sandbox: "box", force: true, confirm: true });
  await data("snapshot_remove", { name: "shot", force: true, confirm: true });
});

test("no snapshot is saved to, or loaded from, where nothing is allowed; failures do not tell how a path is held", async () => {
  await data("snapshot_create", { name: "kept", sandbox: "box" });
  for (const hostPath of ["../out", "/etc/out", join(directory, "out")]) {
    for (const [name, input] of [
      ["snapshot_save", { name: "kept", hostPath }],
      ["snapshot_load", { hostPath }],
    ] as const)
      await assert.rejects(
        call(name, input),
        (error) => error instanceof ToolError && error.failure.code === "host_path_denied",
      );
  }
  assert.ok(!existsSync(join(directory, "out")));
  await assert.rejects(
    call("snapshot_save", { name: "missing", hostPath: "new" }),
    (error) => error instanceof Error && !/proc\/self/.test(error.message),
  );
  assert.ok(!existsSync(join(shared, "new")));
});

test("volumes, and the files in them", async () => {
  await data("volume_create", { name: "store", quotaMib: 10, labels: { a: "b" } });
  const inspected = await data("volume_inspect", { name: "store" });
  assert.deepEqual([inspected["kind"], inspected["quotaMib"], inspected["labels"]], ["dir", 10, { a: "b" }]);
  await data("volume_fs_mkdir", { name: "store", path: "empty" });
  await data("volume_fs_write", { name: "store", path: "a/b.txt", content: "x".repeat(1500) });
  const part = await call("volume_fs_read", { name: "store", path: "a/b.txt", offset: 100 });
  assert.deepEqual([part.truncated?.[0]?.returnedBytes, part.truncated?.[0]?.totalBytes], [1024, 1500]);
  const rest = await call("volume_fs_read", { name: "store", path: "a/b.txt", offset: 1124 });
  assert.deepEqual([(rest.data as { content: string }).content.length, rest.truncated], [376, []]);
  await data("volume_fs_copy", { name: "store", from: "a", to: "c" });
  await data("volume_fs_rename", { name: "store", from: "c/b.txt", to: "d.txt" });
  assert.equal((await data("volume_fs_stat", { name: "store", path: "d.txt" }))["size"], 1500);
  const { entries } = (await data("volume_fs_list", { name: "store", path: "/" })) as {
    entries: { path: string }[];
  };
  assert.deepEqual(entries.map(({ path }) => path).toSorted(), ["/a", "/c", "/d.txt", "/empty"]);
  await assert.rejects(call("volume_fs_remove", { name: "store", path: "a" }));
  await data("volume_fs_remove", { name: "store", path: "a", recursive: true });
  await data("volume_fs_remove", { name: "store", path: "d.txt" });
  assert.equal((await data("volume_fs_exists", { name: "store", path: "a/b.txt" }))["exists"], false);
  await assert.rejects(call("volume_fs_read", { name: "store", path: "../../config.json" }));
  await data("volume_remove", { name: "store" });
  assert.deepEqual((await data("volume_list", {}))["volumes"], []);
});

test("images, of which there are none", async () => {
  assert.deepEqual(await data("image_list", {}), { images: [] });
  assert.equal((await data("image_prune", { confirm: true }))["imageRefsRemoved"], 0);
  for (const name of ["image_inspect", "image_remove"])
    await assert.rejects(call(name, { reference: "nothing:here" }), /nothing/);
});
