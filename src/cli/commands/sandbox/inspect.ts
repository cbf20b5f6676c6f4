import type { SandboxConfig, SandboxHandle } from "../../../api/index.ts";
import { settingEntries } from "../../../config/settings/table.ts";
import { defineCommand } from "../../grammar/command.ts";
import { fieldLines, json, jsonStatus, jsonTime, tableStatus, tableTime } from "../../output/format.ts";
import { portJson } from "../network/network-text.ts";
import { out } from "../../output/streams.ts";
import type { Styled } from "../../output/style.ts";
import { isTerminal } from "../../../config/enums.ts";
import { describeCommand, describeImage, describeMount } from "../../output/sandbox-text.ts";
import { describeNetwork, describePort, describeProxy } from "../../network/network-text.ts";
import { showValue } from "../../values/setting-value.ts";
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
    // With the ports that were chosen.
    ports: handle.publishedPorts.map(portJson),
    // What runs is what is configured, but for a network that was changed until the stop: msb net ls shows that.
    active_config: isTerminal(handle.status) ? null : config,
    pending_changes: [],
  };
}

/** How the latest run was started. */
function startJson({ startReport }: SandboxHandle): object | null {
  if (startReport === null) return null;
  const { route, reason, elapsedMs } = startReport;
  return { route, reason, elapsed_ms: elapsedMs };
}

/** What is told of a sandbox. */
type Described = Pick<
  SandboxHandle,
  "name" | "id" | "status" | "createdAt" | "updatedAt" | "accelerator" | "config" | "publishedPorts"
>;

/** @returns a line for every setting that the sandbox keeps, besides what it is called and does */
export function toText(handle: Described): Styled {
  const config = handle.config();
  // While it runs, the ports are those that were chosen.
  const shown = isTerminal(handle.status) ? config : { ...config, ports: handle.publishedPorts };
  const titles = new Set(
    settingEntries.flatMap(([, { inspect: title }]) => (title === undefined ? [] : [title])),
  );
  titles.delete("Image");
  titles.delete("Resources");
  return fieldLines([
    ["Name", handle.name],
    ["Id", handle.id],
    ["Status", tableStatus(handle.status, process.stdout)],
    ["Created", tableTime(handle.createdAt)],
    ["Updated", tableTime(handle.updatedAt)],
    ["Image", line("Image", config)],
    ["Resources", line("Resources", config)],
    ["Accelerator", describeAccelerator(handle)],
    ...[...titles].map((title) => [title, line(title, shown)] as const),
  ]);
}

/** Lines that are more than the value of one setting, by their title. */
const composed: Readonly<Record<string, (config: SandboxConfig) => string | readonly string[]>> = {
  Image: ({ image }) => describeImage(image),
  "Root disk": describeRootDisk,
  Mounts: ({ mounts }) => mounts.map(describeMount),
  Resources: ({ cpus, memoryMib }) => `${String(cpus)} cpus, ${String(memoryMib)} MiB memory`,
  Command: describeCommand,
  Environment: ({ env }) => env.map(([key, value]) => `${key}=${value}`),
  Labels: ({ labels }) =>
    Object.entries(labels).map(([key, value]) => (value === "" ? key : `${key}=${value}`)),
  Scripts: ({ scripts }) => scripts.map(([script]) => `/.msb/scripts/${script}`),
  Patches: ({ patches }) => patches.map(describePatch),
  Network: describeNetwork,
  Ports: ({ ports }) => ports.map(describePort),
  "Outbound proxy": ({ proxy }) => describeProxy(proxy),
  Limits: ({ rlimits }) =>
    rlimits.map((limit) => `${limit.resource} ${String(limit.soft)}:${String(limit.hard)}`),
};

function line(title: string, config: SandboxConfig): string | readonly string[] {
  const own = composed[title];
  if (own !== undefined) return own(config);
  const [key, setting] = settingEntries.find((entry) => entry[1].inspect === title) ?? [];
  if (key === undefined || setting === undefined) throw new Error(`no setting has the title ${title}`);
  const value = config[key];
  return value === null ? (setting.otherwise ?? "-") : showValue(setting.type.form, value);
}

function describePatch(patch: SandboxConfig["patches"][number]): string {
  switch (patch.kind) {
    case "copyFile":
    case "copyDir":
      return `${patch.kind} ${patch.src} to ${patch.dst}`;
    case "symlink":
      return `symlink ${patch.link} to ${patch.target}`;
    default:
      return `${patch.kind} ${patch.path}`;
  }
}

/** What the guest writes itself, a directory or a disk image, has none. */
function describeRootDisk({ image, rootDisk }: SandboxConfig): string {
  if (image.kind !== "oci" || rootDisk === null) return "-";
  const size = rootDisk.sizeMib === null ? "half of the memory" : `${String(rootDisk.sizeMib)} MiB`;
  return `${rootDisk.kind}, ${size}`;
}

/** Of the latest run. Who isolates code by a sandbox should know what the isolation rests on. */
function describeAccelerator({ accelerator }: Described): string {
  if (accelerator === null) return "-";
  return accelerator === "tcg" ? "tcg (software emulation; QEMU's makers promise no isolation)" : accelerator;
}
