import { LogLevels } from "../enums.ts";
import { setting, settledSetting } from "./setting.ts";
import { choice, flag, milliseconds } from "./types.ts";

/** What can be seen of a sandbox from outside. */
export const observationSettings = {
  logLevel: setting({
    type: choice(LogLevels),
    meaning: "least important events in `runtime.log`",
    default: null,
    otherwise: "warn",
    global: "log_level",
    cli: {
      flag: "logLevel",
      placeholder: "LEVEL",
      description: `Log level of the sandbox: ${LogLevels.toReversed().join(", ")} (warn)`,
    },
    inspect: "Log level",
    change: "never",
  }),
  quietLogs: settledSetting({
    type: flag,
    meaning: "no `runtime.log`",
    default: false,
    inspect: "Quiet logs",
    change: "never",
  }),
  metricsSampleIntervalMs: setting({
    type: milliseconds,
    meaning: "the time over which `cpuPercent` is measured, at least; 0 disables metrics",
    setters: ["metricsSampleIntervalMs", "disableMetricsSample"],
    default: 1000,
    global: "sandbox_defaults.metrics_sample_interval_ms",
    inspect: "Metrics",
    change: "never",
  }),
} as const;
