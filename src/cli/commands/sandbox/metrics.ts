import { setTimeout as sleep } from "node:timers/promises";
import type { SandboxHandle } from "../../../api/index.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import {
  isOver,
  metricsHeaders,
  metricsJson,
  metricsRow,
  rates,
  read,
  sortKeys,
  sortMeasured,
  type MeasuredSandbox,
  type Reading,
} from "../../output/metrics-sample.ts";
import { warningLine } from "../../output/blocks.ts";
import { json, jsonLine } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { isTerminal } from "../../../config/enums.ts";
import { styled } from "../../output/style.ts";
import { table } from "../../output/table.ts";
import { UsageError } from "../../output/usage-error.ts";
import { parseIntervalMs } from "../../values/duration.ts";
import { oneOf } from "../../values/simple.ts";
import { formatOption } from "./list.ts";

/** Between the two samples from which a single table's rates are computed. */
const SNAPSHOT_SPAN_MS = 500;

export const metrics = defineCommand({
  name: "metrics",
  summary: "Show what sandboxes consume",
  details:
    "CPU: 100% is one full core. Rates are per second, between two samples. States: running, paused, stalled (does not answer), suspended, exited.",
  examples: ["msb metrics", "msb metrics -w --sort cpu", "msb metrics demo --format json"],
  operands: [{ name: "NAME", required: false, completes: "sandbox" }],
  options: {
    watch: flag({ short: "w", description: "Keep showing, in place on a terminal", conflicts: ["follow"] }),
    follow: flag({ short: "f", description: "Keep printing, one sample below the other" }),
    interval: value({
      placeholder: "DURATION",
      description: "Time between samples with -w and -f, at least 100ms (1s)",
      parse: parseIntervalMs,
    }),
    all: flag({ short: "a", description: "Also sandboxes that do not run" }),
    sort: value({
      placeholder: "KEY",
      description: `Order: ${sortKeys.join(", ")} (name)`,
      parse: oneOf(sortKeys),
      choices: sortKeys,
    }),
    format: formatOption,
  },
  run: async ({ options, operands: [name], logLevel }) => {
    if (options.interval !== undefined && options.watch !== true && options.follow !== true) {
      throw new UsageError(
        "--interval is the time between samples of --watch and --follow.",
        "Give one of them",
      );
    }
    const find = await finder(name, options.all ?? false);
    const endless = options.watch === true || options.follow === true;
    const inPlace = options.watch === true && process.stdout.isTTY && options.format === undefined;
    const interval = endless ? (options.interval ?? 1000) : SNAPSHOT_SPAN_MS;
    const order = options.sort ?? "name";

    let before = await readAll(await find());
    for (;;) {
      if (before.size === 0) {
        err("No running sandboxes.\n");
        if (options.format === "json" && !endless) out("[]\n");
        if (!endless) return 0;
      }
      await sleep(interval);
      const handles = await find();
      const now = await readAll(handles);
      const measured = sortMeasured(combine(before, now), order);
      if (logLevel !== null) explainStalled(measured);
      if (inPlace) out(styled`\x1b[H\x1b[J${table(metricsHeaders, measured.map(metricsRow))}`);
      else if (options.format !== "json") out(table(metricsHeaders, measured.map(metricsRow)));
      else if (endless) out(measured.map((sandbox) => jsonLine(metricsJson(sandbox))).join(""));
      else
        out(
          json(name === undefined ? measured.map(metricsJson) : metricsJson(measured[0] as MeasuredSandbox)),
        );
      if (!endless) return 0;
      if (name !== undefined && measured.every(({ state }) => isOver(state))) return 0;
      before = now;
    }
  },
});

/** How to find, at each sample anew, the sandboxes that are to be shown. */
async function finder(
  name: string | undefined,
  all: boolean,
): Promise<() => Promise<readonly SandboxHandle[]>> {
  const { Sandbox } = await import("../../../api/index.ts");
  if (name !== undefined) return async () => [await Sandbox.get(name)];
  return async () => (await Sandbox.list()).filter(({ status }) => all || !isTerminal(status));
}

function explainStalled(sandboxes: readonly MeasuredSandbox[]): void {
  for (const { name, state, problem } of sandboxes) {
    if (state === "stalled" && problem instanceof Error) {
      err(warningLine(`${name}: ${problem.message}`, process.stderr));
    }
  }
}

async function readAll(handles: readonly SandboxHandle[]): Promise<Map<string, Reading>> {
  const readings = await Promise.all(handles.map(read));
  return new Map(readings.map((reading) => [reading.name, reading]));
}

function combine(before: ReadonlyMap<string, Reading>, now: ReadonlyMap<string, Reading>): MeasuredSandbox[] {
  return [...now.values()].map((reading) => ({
    ...reading,
    rates: rates(before.get(reading.name)?.metrics, reading.metrics),
  }));
}
