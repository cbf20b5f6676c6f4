import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { longName, type AnyCommand, type Invocation, type OptionSpec, type OptionSpecs } from "./command.ts";
import { chosenLogLevel, globalOptions } from "./globals.ts";
import { splitShortValues } from "./short-values.ts";

/**
 * Parses a well-formed command line with Node's own `parseArgs`, without commander, whose loading costs about two
 * thirds of Node's own start. Returns null for everything that is not plainly well-formed, help included:
 * the caller then gives the same arguments to commander, which knows how to explain.
 *
 * @param command - the command that `args` belongs to
 * @param args - what follows the command's name, up to `--`
 * @param guestCommand - what follows `--`, null without `--`
 */
export function quickParse(
  command: AnyCommand,
  args: readonly string[],
  guestCommand: readonly string[] | null,
): Invocation | null {
  const specs: OptionSpecs = { ...globalOptions, ...command.options };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: splitShortValues(specs, args),
      options: parseArgsOptions(specs),
      allowPositionals: true,
      strict: true,
    });
  } catch {
    return null;
  }

  const given = new Set<string>();
  const options: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(specs)) {
    const raw = parsed.values[longName(key)];
    const negated = spec.negation !== undefined && parsed.values[`no-${longName(key)}`] === true;
    if (raw !== undefined && negated) return null; // the later one wins, and parseArgs does not tell which that is
    if (raw !== undefined || negated) given.add(key);
    try {
      options[key] = negated ? false : valueOf(spec, raw);
    } catch {
      return null;
    }
  }
  for (const key of given) {
    if (specs[key]?.conflicts?.some((other) => given.has(other)) === true) return null;
  }

  const operands =
    command.guestCommand === true ? parsed.positionals : [...parsed.positionals, ...(guestCommand ?? [])];
  if (!operandsFit(command, operands.length)) return null;
  return {
    options,
    operands,
    guestCommand: command.guestCommand === true ? guestCommand : null,
    given,
    logLevel: chosenLogLevel(options),
  };
}

function operandsFit(command: AnyCommand, count: number): boolean {
  const operands = command.operands ?? [];
  const least = operands.filter((operand) => operand.required).length;
  const most = operands.some((operand) => operand.repeated === true) ? Infinity : operands.length;
  return count >= least && count <= most;
}

function parseArgsOptions(specs: OptionSpecs): ParseArgsOptionsConfig {
  const config: ParseArgsOptionsConfig = {};
  for (const [key, spec] of Object.entries(specs)) {
    const name = longName(key);
    config[name] = {
      type: spec.kind === "flag" ? "boolean" : "string",
      multiple: spec.kind === "repeated",
      ...(spec.short === undefined ? {} : { short: spec.short }),
    };
    if (spec.negation !== undefined) config[`no-${name}`] = { type: "boolean" };
  }
  return config;
}

function valueOf(spec: OptionSpec, raw: unknown): unknown {
  switch (spec.kind) {
    case "flag":
      return raw;
    case "value":
      return typeof raw === "string" ? spec.parse(raw) : undefined;
    case "repeated":
      return Array.isArray(raw) ? raw.map((text) => spec.parse(String(text))) : [];
  }
}
