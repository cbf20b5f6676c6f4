import type { SandboxHandle } from "../../../api/index.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { json, jsonStatus, tableStatus } from "../../output/format.ts";
import { portsCell, publishedText } from "../network/network-text.ts";
import { err, out } from "../../output/streams.ts";
import type { Text } from "../../output/style.ts";
import { UsageError } from "../../output/usage-error.ts";
import { cut, table } from "../../output/table.ts";
import { isTerminal } from "../../../config/enums.ts";
import { describeCommand, describeImage } from "../../output/sandbox-text.ts";
import { filterByLabels, labelOption } from "../../selection.ts";
import { formatOption } from "./list.ts";

const IMAGE_WIDTH = 36;
const COMMAND_WIDTH = 40;
const PORTS_WIDTH = 32;

export const status = defineCommand({
  name: "status",
  aliases: ["ps"],
  summary: "Show running sandboxes and what they have",
  examples: ["msb ps", "msb ps -a", "msb ps demo --format json"],
  operands: [{ name: "NAME", required: false, completes: "sandbox" }],
  options: {
    all: flag({ short: "a", description: "Also those that do not run" }),
    label: labelOption,
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only names, one a line", conflicts: ["format"] }),
  },
  run: async ({ options, operands: [name] }) => {
    if (name !== undefined && options.label.length > 0) {
      throw new UsageError(
        `--label chooses among all sandboxes, and ${name} is named.`,
        "Leave out one of them",
      );
    }
    const { Sandbox } = await import("../../../api/index.ts");
    const sandboxes =
      name === undefined
        ? filterByLabels(await Sandbox.list(), options.label).filter(
            ({ status: now }) => options.all === true || !isTerminal(now),
          )
        : [await Sandbox.get(name)];
    if (options.format === "json") {
      const items = sandboxes.map(toJson);
      out(json(name === undefined ? items : items[0]));
    } else if (sandboxes.length === 0) {
      err(options.all === true ? "No sandboxes found.\n" : "No running sandboxes.\n");
    } else if (options.quiet === true) {
      out(sandboxes.map((sandbox) => `${sandbox.name}\n`).join(""));
    } else {
      out(table(["NAME", "IMAGE", "COMMAND", "CPUS", "MEM", "STATUS", "PORTS"], sandboxes.map(toRow)));
    }
    return 0;
  },
});

function toRow(sandbox: SandboxHandle): Text[] {
  const config = sandbox.config();
  return [
    sandbox.name,
    cut(describeImage(config.image), IMAGE_WIDTH),
    cut(describeCommand(config), COMMAND_WIDTH),
    String(config.cpus ?? "-"),
    config.memoryMib === null ? "-" : `${String(config.memoryMib)}M`,
    tableStatus(sandbox.status, process.stdout),
    cut(portsCell(sandbox.publishedPorts), PORTS_WIDTH),
  ];
}

function toJson(sandbox: SandboxHandle): object {
  const config = sandbox.config();
  return {
    name: sandbox.name,
    status: jsonStatus(sandbox.status),
    image: describeImage(config.image),
    command: describeCommand(config) === "-" ? null : describeCommand(config),
    ports: sandbox.publishedPorts.map(publishedText),
    cpus: config.cpus,
    max_cpus: config.cpus,
    memory_mib: config.memoryMib,
    max_memory_mib: config.memoryMib,
    thp: config.thp,
  };
}
