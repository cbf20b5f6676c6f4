import { flag, type LogLevel, type OptionSpecs } from "./command.ts";

export const logLevels = ["error", "warn", "info", "debug", "trace"] as const satisfies readonly LogLevel[];

function levelFlag(level: LogLevel, what: string) {
  return flag({
    description: `Log level ${level}: ${what}`,
    group: "Global options:",
    conflicts: logLevels.filter((other) => other !== level),
  });
}

/** Options that every command has, before or after its name. Without one of them, logging is silent. */
export const globalOptions: OptionSpecs = {
  error: levelFlag("error", "failures only"),
  warn: levelFlag("warn", "and what looks wrong"),
  info: levelFlag("info", "and the stages of starting"),
  debug: levelFlag("debug", "and details; errors show where they come from"),
  trace: levelFlag("trace", "everything"),
};

/** The level chosen by the values of `globalOptions`, null when none was. */
export function chosenLogLevel(values: Readonly<Record<string, unknown>>): LogLevel | null {
  return logLevels.find((level) => values[level] === true) ?? null;
}
