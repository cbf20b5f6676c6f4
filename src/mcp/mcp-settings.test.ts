import assert from "node:assert/strict";
import { homedir } from "node:os";
import { test } from "node:test";
import { InvalidConfigError } from "../errors/index.ts";
import { mcpSettings } from "./mcp-settings.ts";

test("what is not said is as documented", () => {
  assert.deepEqual(mcpSettings({}, "/srv/project"), {
    tools: null,
    hostPaths: ["/srv/project"],
    dangerous: false,
    maxOutputBytes: 1_048_576,
    defaultTimeoutMs: 120_000,
    sessionTtlMs: 900_000,
  });
});

test("the directories that desktop programs start servers in are not shared unless they are named", () => {
  assert.deepEqual(mcpSettings({}, "/").hostPaths, []);
  assert.deepEqual(mcpSettings({}, homedir()).hostPaths, []);
  assert.deepEqual(mcpSettings({ MICROSANDBOX_MCP_HOST_PATHS: homedir() }, "/").hostPaths, [homedir()]);
});

test("directories are a list, relative to the working directory; or all of them", () => {
  const listed = { MICROSANDBOX_MCP_HOST_PATHS: "/data::sub" };
  assert.deepEqual(mcpSettings(listed, "/srv").hostPaths, ["/data", "/srv/sub"]);
  const all = { ...listed, MICROSANDBOX_MCP_HOST_PATH_POLICY: "unrestricted" };
  assert.deepEqual(mcpSettings(all, "/srv").hostPaths, ["/"]);
});

test("groups of tools are a list", () => {
  assert.deepEqual(mcpSettings({ MICROSANDBOX_MCP_TOOLS: "sandbox, image_list" }).tools, [
    "sandbox",
    "image_list",
  ]);
});

test("numbers and flags are taken, and what is none is refused", () => {
  const { dangerous, maxOutputBytes, defaultTimeoutMs, sessionTtlMs } = mcpSettings({
    MICROSANDBOX_MCP_ENABLE_DANGEROUS: "1",
    MICROSANDBOX_MCP_MAX_OUTPUT_BYTES: "2048",
    MICROSANDBOX_MCP_DEFAULT_TIMEOUT_MS: "5",
    MICROSANDBOX_MCP_SESSION_TTL_MS: "7",
  });
  assert.deepEqual([dangerous, maxOutputBytes, defaultTimeoutMs, sessionTtlMs], [true, 2048, 5, 7]);
  for (const [name, value] of [
    ["ENABLE_DANGEROUS", "yes"],
    ["MAX_OUTPUT_BYTES", "1"],
    ["MAX_OUTPUT_BYTES", "1e6"],
    ["DEFAULT_TIMEOUT_MS", "-1"],
    ["SESSION_TTL_MS", "99999999999"],
    ["HOST_PATH_POLICY", "some"],
  ] as const)
    assert.throws(() => mcpSettings({ [`MICROSANDBOX_MCP_${name}`]: value }), InvalidConfigError, name);
});
