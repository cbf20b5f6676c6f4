import assert from "node:assert/strict";
import { after, test } from "node:test";
import { agentHints } from "../call/agent-hints.ts";
import { ToolError } from "../call/tool-failure.ts";
import type { Tool, ToolCall } from "../call/tool.ts";
import { mcpSettings } from "../mcp-settings.ts";
import { Workbench } from "../workbench.ts";
import { tools, toolsOf } from "./tool-list.ts";

const bench = new Workbench(mcpSettings({}));
after(() => bench[Symbol.asyncDispose]());
const call: ToolCall = { bench, signal: new AbortController().signal, progress: () => undefined };

function named(name: string): Tool {
  const found = tools.find((tool) => tool.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

async function codeOf(name: string, input: unknown): Promise<string> {
  try {
    await named(name).run(input, call);
  } catch (error) {
    if (error instanceof ToolError) return error.failure.code;
    throw error;
  }
  return "ok";
}

test("names are told apart, and every tool says what it takes", () => {
  assert.equal(new Set(tools.map(({ name }) => name)).size, tools.length);
  for (const tool of tools) {
    const { type, properties } = tool.inputSchema();
    assert.equal(type, "object", tool.name);
    for (const [field, schema] of Object.entries(properties as object)) {
      const isTyped = ["type", "enum", "anyOf"].some((key) => Object.hasOwn(Object(schema) as object, key));
      assert.ok(isTyped, `${tool.name}: ${field}`);
    }
    assert.match(tool.name, /^[a-z]+(_[a-z]+)+$/);
    assert.ok(tool.description.endsWith("."), tool.name);
  }
});

test("the list says no more than it has to: an agent reads all of it", () => {
  const told = JSON.stringify(
    tools.map((tool) => ({
      name: tool.name,
      description: tool.description,
      inputSchema: tool.inputSchema(),
    })),
  );
  assert.ok(told.length < 42_500, `${told.length} characters`);
  for (const noise of ["$schema", "propertyNames", '"additionalProperties":false', '"required":[]', "title"])
    assert.ok(!told.includes(noise), noise);
  const ran = named("sandbox_run").inputSchema()["properties"] as Record<string, object>;
  assert.deepEqual(ran["mounts"], { type: "array", description: "As sandbox_create has it." });
  const alone = named("sandbox_run").inputSchema(["sandbox_run"])["properties"] as Record<string, object>;
  assert.ok("items" in (alone["mounts"] ?? {}), "nobody has told it elsewhere");
  const made = named("sandbox_create").inputSchema()["properties"] as Record<string, object>;
  assert.ok("items" in (made["mounts"] ?? {}));
});

test("a second name of a field is understood, and not listed", async () => {
  const listed = Object.keys(named("sandbox_shell").inputSchema()["properties"] as object);
  for (const alias of ["workdir", "timeout"]) {
    assert.ok(!listed.includes(alias));
    await assert.rejects(
      named("sandbox_shell").run({ name: "a", command: "b", [alias]: [] }, call),
      new RegExp(`${alias}: .*received Array`),
    );
  }
});

test("groups of tools can be chosen", () => {
  const names = (groups: readonly string[]): string[] => toolsOf(groups).map(({ name }) => name);
  assert.equal(toolsOf(null), tools);
  assert.deepEqual(names(["image", "sandbox_run"]).toSorted(), [
    ...["image_inspect", "image_list", "image_prune", "image_remove", "output_read", "sandbox_run"],
  ]);
  assert.ok(!names(["sandbox_exec"]).includes("sandbox_create"));
  assert.throws(() => toolsOf(["image", "sand"]), /names tools that are none: sand$/);
});

test("the tools that others have are there", () => {
  const expected = [
    ...[
      "runtime_check",
      "runtime_install",
      "sandbox_run",
      "sandbox_create",
      "sandbox_list",
      "sandbox_inspect",
    ],
    ...["sandbox_stop", "sandbox_remove", "sandbox_start", "sandbox_status", "sandbox_drain", "sandbox_wait"],
    ...[
      "sandbox_exec",
      "sandbox_shell",
      "sandbox_exec_start",
      "sandbox_exec_poll",
      "sandbox_exec_write_stdin",
    ],
    ...["sandbox_exec_signal", "sandbox_exec_close", "sandbox_logs_read", "sandbox_logs_stream"],
    ...["read", "write", "list", "mkdir", "remove", "stat", "copy", "rename", "exists"].map(
      (what) => `sandbox_fs_${what}`,
    ),
    ...["sandbox_fs_copy_from_host", "sandbox_fs_copy_to_host"],
    ...["sandbox_metrics", "sandbox_metrics_all", "sandbox_metrics_stream"],
    ...["volume_create", "volume_list", "volume_remove", "volume_inspect"],
    ...["read", "write", "list", "mkdir", "remove", "copy", "rename", "stat", "exists"].map(
      (what) => `volume_fs_${what}`,
    ),
    ...["image_list", "image_inspect", "image_remove", "image_prune"],
    ...["create", "list", "inspect", "verify", "remove", "reindex", "save", "load"].map(
      (what) => `snapshot_${what}`,
    ),
  ];
  for (const name of expected) named(name);
});

test("input that is none is refused with all that is wrong", async () => {
  for (const [name, input] of [
    ["sandbox_exec", {}],
    ["sandbox_exec", { name: "a", command: "b", cwd: 1 }],
    ["sandbox_exec", { name: "a", command: "b", unknown: true }],
    ["sandbox_exec", { name: "a", command: "b", timeoutMs: 0 }],
    ["sandbox_create", { name: "a", resources: { cpus: 17 } }],
    ["sandbox_create", { name: "a", resources: { memoryMib: 64 } }],
    ["sandbox_create", { name: "a", policy: "allow-all" }],
    ["sandbox_run", { command: "x", lifecycle: { detached: true } }],
    ["sandbox_exec_signal", { execSessionId: "x", signal: "stop" }],
    ["sandbox_metrics_stream", { name: "a", samples: 101 }],
    ["sandbox_logs_read", { name: "a", since: 5 }],
    ["snapshot_inspect", { name: "/etc/passwd" }],
    ["sandbox_create", { name: "a", rootfs: { snapshot: "../x" } }],
    ["volume_fs_write", { name: "a", path: "b", content: "c", encoding: "hex" }],
    ["sandbox_list", null],
  ] as const)
    assert.equal(
      await codeOf(name, input),
      name === "sandbox_list" ? "ok" : "invalid_input",
      `${name} ${JSON.stringify(input)}`,
    );
});

test("what changes several sandboxes needs a selection", async () => {
  for (const name of ["sandbox_stop", "sandbox_remove", "sandbox_drain"]) {
    assert.equal(await codeOf(name, {}), "invalid_input");
    assert.equal(await codeOf(name, { names: [], labels: {} }), "invalid_input");
  }
});

test("what cannot be undone has to be confirmed", async () => {
  for (const [name, input] of [
    ["image_prune", {}],
    ["image_prune", { confirm: false }],
    ["image_remove", { reference: "x", force: true }],
    ["snapshot_create", { name: "x", sandbox: "y", force: true }],
    ["snapshot_remove", { name: "x", force: true }],
  ] as const)
    assert.equal(await codeOf(name, input), "confirmation_required", name);
});

test("a command that nobody has started, and an output that nobody has kept", async () => {
  assert.equal(await codeOf("sandbox_exec_poll", { execSessionId: "x" }), "operation_failed");
  assert.equal(await codeOf("output_read", { id: "x", offset: 0 }), "operation_failed");
  assert.deepEqual((await named("sandbox_exec_close").run({ execSessionId: "x" }, call)).data, {
    closed: false,
  });
});

test("hints name tools that there are", () => {
  const mentioned = Object.values(agentHints).flatMap(
    (hint) => hint.match(/\b(sandbox|checkpoint|snapshot|volume)_[a-z_]+/g) ?? [],
  );
  assert.ok(mentioned.length >= Object.keys(agentHints).length);
  for (const name of mentioned) named(name);
});
