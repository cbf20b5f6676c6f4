import type { SandboxHandle } from "../../../api/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { fieldLines, json, jsonStatus, jsonTime, tableStatus, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import { describeCommand, describeImage, isDown } from "../../output/sandbox-text.ts";
import { formatOption } from "./list.ts";

export const inspect = defineCommand({
  name: "inspect",
  summary: "Show everything known about a sandbox",
  examples: ["msb inspect demo", "msb inspect demo --format json"],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: { format: formatOption },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    out(options.format === "json" ? json(toJson(handle)) : toText(handle));
    return 0;
  },
});

function toJson(handle: SandboxHandle): object {
  const config: unknown = JSON.parse(handle.configJson);
  return {
    name: handle.name,
    status: jsonStatus(handle.status),
    accelerator: handle.accelerator,
    start: startJson(handle),
    config,
    created_at: jsonTime(handle.createdAt),
    updated_at: jsonTime(handle.updatedAt),
    // A configuration cannot be changed after creation, so what runs is what is configured.
    active_config: isDown(handle.status) ? null : config,
    pending_changes: [],
  };
}

/** How the latest run was started. */
function startJson({ startReport }: SandboxHandle): object | null {
  if (startReport === null) return null;
  const { route, reason, elapsedMs } = startReport;
  return { route, reason, elapsed_ms: elapsedMs };
}

function toText(handle: SandboxHandle): string {
  const config = handle.config();
  return fieldLines([
    ["Name", handle.name],
    ["Id", handle.id],
    ["Status", tableStatus(handle.status, process.stdout)],
    ["Created", tableTime(handle.createdAt)],
    ["Updated", tableTime(handle.updatedAt)],
    ["Image", describeImage(config.image)],
    ["Resources", `${String(config.cpus ?? 1)} cpus, ${String(config.memoryMib ?? 512)} MiB memory`],
    ["Accelerator", describeAccelerator(handle)],
    ["Command", describeCommand(config)],
    ["Workdir", config.workdir ?? "/"],
    ["Shell", config.shell ?? "/bin/sh"],
    ["User", config.user ?? "root"],
    ["Hostname", config.hostname ?? handle.name],
    ["Environment", config.env.map(([key, value]) => `${key}=${value}`)],
    ["Labels", Object.entries(config.labels).map(([key, value]) => (value === "" ? key : `${key}=${value}`))],
    ["Scripts", config.scripts.map(([script]) => `/.msb/scripts/${script}`)],
    [
      "Limits",
      config.rlimits.map((limit) => `${limit.resource} ${String(limit.soft)}:${String(limit.hard)}`),
    ],
    ["Max duration", seconds(config.maxDurationSecs)],
    ["Idle timeout", seconds(config.idleTimeoutSecs)],
  ]);
}

/** Of the latest run. Who isolates code by a sandbox should know what the isolation rests on. */
function describeAccelerator({ accelerator }: SandboxHandle): string {
  if (accelerator === null) return "-";
  return accelerator === "tcg" ? "tcg (software emulation; QEMU's makers promise no isolation)" : accelerator;
}

function seconds(count: number | null): string {
  return count === null ? "-" : `${String(count)} s`;
}
