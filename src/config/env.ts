import { InvalidConfigError } from "../errors/index.ts";
import { checkScriptName } from "./checks.ts";
import type { SettingType } from "./settings/setting.ts";

export type EnvPair = readonly [key: string, value: string];
export type EnvInput = Readonly<Record<string, string>> | Iterable<EnvPair>;

/** Keys that begin so are for the runtime. */
const reservedPrefix = "MSB_";

export function isReservedEnv(key: string): boolean {
  return key.startsWith(reservedPrefix);
}

/** @throws InvalidConfigError */
export function checkEnvPair(key: string, value: string): EnvPair {
  if (typeof key !== "string" || typeof value !== "string") {
    throw new InvalidConfigError(
      `the environment variable ${key} must be a string with a string as its value`,
    );
  }
  if (key === "" || key.includes("=") || key.includes("\0")) {
    throw new InvalidConfigError(`${JSON.stringify(key)} cannot be the name of an environment variable`, {
      hint: "A name is not empty and holds neither '=' nor NUL.",
    });
  }
  if (isReservedEnv(key)) {
    throw new InvalidConfigError(
      `the environment variable ${key} is reserved: names with ${reservedPrefix} are`,
      {
        hint: "Choose another name.",
      },
    );
  }
  if (value.includes("\0")) {
    throw new InvalidConfigError(`the value of the environment variable ${key} holds a NUL`);
  }
  return [key, value];
}

export function envPairs(input: EnvInput): EnvPair[] {
  return Symbol.iterator in input ? [...input] : Object.entries(input);
}

export const envType: SettingType<readonly EnvPair[], EnvInput> = {
  form: { kind: "structure" },
  values: "names with values",
  check: (_name, input) =>
    joinPairs(
      [],
      envPairs(input).map(([key, value]) => checkEnvPair(key, value)),
    ),
  join: joinPairs,
};

/** Scripts travel to the guest in one message. */
const scriptsMaximumBytes = 3 * 1024 * 1024;

export const scriptsType: SettingType<readonly EnvPair[], EnvInput> = {
  form: { kind: "structure" },
  values: "names with texts, 3 MiB together",
  check: (_name, input) => joinScripts([], envPairs(input).map(checkScript)),
  join: joinScripts,
};

function checkScript([name, content]: EnvPair): EnvPair {
  if (typeof content !== "string")
    throw new InvalidConfigError(`the content of the script ${name} must be text`);
  return [checkScriptName(name), content];
}

function joinScripts(earlier: readonly EnvPair[], later: readonly EnvPair[]): EnvPair[] {
  const scripts = joinPairs(earlier, later);
  const bytes = scripts.reduce((sum, [name, content]) => sum + Buffer.byteLength(name + content), 0);
  if (bytes <= scriptsMaximumBytes) return scripts;
  throw new InvalidConfigError(
    `the scripts are ${bytes} bytes together; at most ${scriptsMaximumBytes} are allowed`,
  );
}

/** Of a key that comes more than once, the last value counts. */
function joinPairs(earlier: readonly EnvPair[], later: readonly EnvPair[]): EnvPair[] {
  return [...new Map([...earlier, ...later])];
}
