import { constants } from "node:os";
import type { SandboxStopResult } from "../../../api/index.ts";
import { defineCommand, value } from "../../grammar/command.ts";
import { json, jsonStatus } from "../../output/format.ts";
import { isInterrupted, untilExit } from "../../output/interrupt.ts";
import { report } from "../../output/report.ts";
import { err, out } from "../../output/streams.ts";
import { labelOption, sandboxNames, select } from "../../selection.ts";
import { parsePositiveDurationMs } from "../../values/duration.ts";
import { formatOption } from "../sandbox/list.ts";

export const wait = defineCommand({
  name: "wait",
  summary: "Wait until sandboxes have ended, and print how",
  details:
    "A number for each, in the order of the names: 0 for one that ended in order, is suspended or never ran; the exit code of its machine, or 128 + n for signal n; 255 for one that crashed and nobody knows how. Nothing is stopped by this.",
  examples: [
    "msb wait demo",
    "msb wait --timeout 5m demo other",
    "msb wait --format json --label stage=test",
  ],
  operands: [sandboxNames],
  options: {
    timeout: value({
      placeholder: "DURATION",
      description: "Give up after so long, with exit code 1; they go on",
      parse: parsePositiveDurationMs,
    }),
    label: labelOption,
    format: formatOption,
  },
  run: async ({ options: { timeout: timeoutMs, label, format }, operands, logLevel }) => {
    const names = await select(operands, label);
    const stack = logLevel === "debug" || logLevel === "trace";
    const { Sandbox } = await import("../../../api/index.ts");
    const outcome = async (name: string): Promise<SandboxStopResult | null> => {
      try {
        return await (await Sandbox.get(name)).waitUntilStopped({ timeoutMs });
      } catch (error) {
        if (isInterrupted()) await untilExit();
        // At once: the others may run for days.
        err(report(error, process.stderr, { stack }));
        return null;
      }
    };
    const results: SandboxStopResult[] = [];
    for (const ended of names.map(outcome)) {
      const result = await ended;
      if (result === null) continue;
      results.push(result);
      if (format !== "json") out(`${String(exitStatus(result))}\n`);
    }
    if (format === "json") out(json(results.map(resultJson)));
    return results.length === names.length ? 0 : 1;
  },
});

function exitStatus({ status, exitCode, signal }: SandboxStopResult): number {
  // Its machine is gone, and it can go on.
  if (status === "suspended") return 0;
  const bySignal = signal === null ? undefined : constants.signals[signal as NodeJS.Signals];
  const code = exitCode ?? (bySignal === undefined ? 0 : 128 + bySignal);
  // QEMU itself may have ended well when its guest has not.
  return code === 0 && status === "crashed" ? 255 : code;
}

function resultJson(result: SandboxStopResult): object {
  const { name, status, exitCode, signal, source } = result;
  return {
    name,
    status: jsonStatus(status),
    exit_status: exitStatus(result),
    exit_code: exitCode,
    signal,
    reason: source,
  };
}
