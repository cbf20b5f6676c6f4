import { InvalidConfigError } from "../errors/index.ts";

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
