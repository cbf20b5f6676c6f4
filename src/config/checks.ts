import { InvalidConfigError } from "../errors/index.ts";
import { signalNumber } from "../protocol/signals.ts";

/** Checks of single values, each throwing InvalidConfigError with the setting's name. */

export function checkWhole(name: string, value: number, minimum: number, maximum: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw new InvalidConfigError(
      `${name} is ${String(value)}, which is not a whole number from ${minimum} to ${maximum}`,
    );
  }
  return value;
}

/** Whole MiB, rounded down. */
export function checkMebibytes(name: string, value: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || Math.floor(value) < 1) {
    throw new InvalidConfigError(`${name} is ${String(value)} MiB; it must be at least 1`);
  }
  return Math.floor(value);
}

export function checkFlag(name: string, value: boolean): boolean {
  if (typeof value === "boolean") return value;
  throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}, which is neither true nor false`);
}

export function checkPositive(name: string, value: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
    throw new InvalidConfigError(`${name} is ${String(value)}; it must be a number above 0`);
  }
  return value;
}

export function checkString(name: string, value: string): string {
  if (typeof value !== "string" || value === "" || value.includes("\0")) {
    throw new InvalidConfigError(`${name} must be text, not empty and without NUL`);
  }
  return value;
}

export function checkGuestPath(name: string, value: string): string {
  if (!checkString(name, value).startsWith("/")) {
    throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}, which is not an absolute path`, {
      hint: "Begin it with a /.",
    });
  }
  return value;
}

export function checkOneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((known) => known === value);
  if (found === undefined) {
    throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}`, {
      hint: `Use one of: ${allowed.join(", ")}.`,
    });
  }
  return found;
}

export function checkHostname(value: string): string {
  checkString("the hostname", value);
  if (Buffer.byteLength(value) > 64) {
    throw new InvalidConfigError("the hostname is longer than 64 bytes", { hint: "Choose a shorter one." });
  }
  return value;
}

/** A signal of the guest: `SIGINT`, `INT`, `2`, `SIGRTMIN+3`. */
export function checkSignal(name: string, value: string): string {
  if (typeof value === "string" && signalNumber(value) !== null) return value;
  throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}, which is no signal`, {
    hint: "Name one as in SIGINT or SIGRTMIN+3, or give its number as text.",
  });
}

export function checkScriptName(value: string): string {
  checkString("a script's name", value);
  if (value.includes("/") || value === "." || value === "..") {
    throw new InvalidConfigError(`the script name ${JSON.stringify(value)} is not a single file name`);
  }
  return value;
}

const reservedLabelPrefixes = ["sandbox.", "microsandbox.", "service."];

export function isReservedLabel(key: string): boolean {
  return reservedLabelPrefixes.some((prefix) => key.startsWith(prefix));
}

export function checkLabel(key: string, value: string): void {
  checkString("a label's key", key);
  if (typeof value !== "string") throw new InvalidConfigError(`the value of the label ${key} must be text`);
  const reserved = reservedLabelPrefixes.find((prefix) => key.startsWith(prefix));
  if (reserved !== undefined) {
    throw new InvalidConfigError(`the label ${key} is reserved: keys with ${reserved} are`, {
      hint: "Choose another key.",
    });
  }
}

export function checkCommandLine(name: string, value: Iterable<string>): readonly string[] {
  const tokens = [...value];
  if (tokens[0] === "") throw new InvalidConfigError(`the first word of ${name} is empty`);
  for (const token of tokens) {
    if (typeof token !== "string" || token.includes("\0")) {
      throw new InvalidConfigError(`a word of ${name} is not text or holds a NUL`);
    }
  }
  return tokens;
}
