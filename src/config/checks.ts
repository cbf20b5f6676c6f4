import { InvalidConfigError } from "../errors/index.ts";
import { signalNumber } from "../protocol/signals.ts";
import { checkArgument, checkPath, checkString, checkText } from "./guest-text.ts";

/** Checks of single values, each throwing InvalidConfigError with the setting's name. */

export function checkWhole(name: string, value: number, minimum: number, maximum: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    throw new InvalidConfigError(
      `${name} is ${shown(value)}, which is not a whole number from ${minimum} to ${maximum}`,
    );
  }
  return value;
}

/** S_IFMT and, in it, regular files and directories (inode(7)). */
const typeBits = 0o170000;
const typesWithModes: readonly number[] = [0, 0o100000, 0o040000];

/**
 * The twelve bits of chmod(2).
 *
 * @param mode the type of a file or a directory may be in it, as it is in what stat(2) says
 */
export function checkMode(name: string, mode: unknown): number {
  const isMode = typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o177777;
  if (isMode && typesWithModes.includes(mode & typeBits)) return mode & 0o7777;
  throw new InvalidConfigError(`${name} is ${shown(mode)}, which is no mode of a file`, {
    hint: "Write it in octal, such as 0o755: from 0 to 0o7777.",
  });
}

/** Whole MiB, rounded down. */
export function checkMebibytes(name: string, value: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || Math.floor(value) < 1) {
    throw new InvalidConfigError(`${name} is ${shown(value)} MiB; it must be at least 1`);
  }
  if (!Number.isSafeInteger(Math.floor(value) * 2 ** 20)) {
    throw new InvalidConfigError(`${name} is ${shown(value)} MiB, more than anything can hold`, {
      hint: "Sizes are in MiB: 1024 is 1 GiB.",
    });
  }
  return Math.floor(value);
}

export function checkFlag(name: string, value: boolean): boolean {
  if (typeof value === "boolean") return value;
  throw new InvalidConfigError(`${name} is ${shown(value)}, which is neither true nor false`);
}

/** An object with fields, such as options. */
export function checkObject<T extends object>(name: string, value: T): T {
  const given: unknown = value;
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return value;
  throw new InvalidConfigError(`${name} is ${shown(given)}, which is no object`, {
    hint: "Write {name: value}, or leave it out.",
  });
}

export function checkPositive(name: string, value: number): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
    throw new InvalidConfigError(`${name} is ${shown(value)}; it must be a number above 0`);
  }
  return value;
}

export function checkGuestPath(name: string, value: string): string {
  if (!checkPath(name, value).startsWith("/")) {
    throw new InvalidConfigError(`${name} is ${JSON.stringify(value)}, which is not an absolute path`, {
      hint: "Begin it with a /.",
    });
  }
  return value;
}

export function checkOneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((known) => known === value);
  if (found === undefined) {
    throw new InvalidConfigError(`${name} is ${shown(value)}`, {
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
  // It becomes a word in a line of /etc/hosts, where # begins a comment: hosts(5).
  if (/[\s\p{Cc}#]/u.test(value)) {
    throw new InvalidConfigError(
      `the hostname ${JSON.stringify(value)} holds a space, a #, a line break or another control character`,
      { hint: "Use letters, digits, '-' and '.'." },
    );
  }
  return value;
}

/** A signal of the guest: `SIGINT`, `INT`, `2`, `SIGRTMIN+3`. */
export function checkSignal(name: string, value: string): string {
  if (typeof value === "string" && signalNumber(value) !== null) return value;
  throw new InvalidConfigError(`${name} is ${shown(value)}, which is no signal`, {
    hint: "Name one as in SIGINT or SIGRTMIN+3, or give its number as text.",
  });
}

/** The same as a number. @throws InvalidConfigError */
export function checkedSignalNumber(name: string, value: string): number {
  return signalNumber(checkSignal(name, value)) ?? 0;
}

const reservedLabelPrefixes = ["sandbox.", "microsandbox.", "service."];

export function isReservedLabel(key: string): boolean {
  return reservedLabelPrefixes.some((prefix) => key.startsWith(prefix));
}

export function checkLabel(label: unknown, text: unknown): [key: string, value: string] {
  const key = checkString("a label's key", label);
  const value = checkText(`the value of the label ${JSON.stringify(key)}`, text);
  const reserved = reservedLabelPrefixes.find((prefix) => key.startsWith(prefix));
  if (reserved === undefined) return [key, value];
  throw new InvalidConfigError(`the label ${key} is reserved: keys with ${reserved} are`, {
    hint: "Choose another key.",
  });
}

export function checkCommandLine(name: string, value: Iterable<string>): readonly string[] {
  const tokens = checkList(name, value);
  if (tokens[0] === "") throw new InvalidConfigError(`the first word of ${name} is empty`);
  return tokens.map((token) => checkArgument(`a word of ${name}`, token));
}

/** A string is a list of its characters, which nobody means. */
export function checkList(name: string, value: unknown): unknown[] {
  if (typeof value === "object" && value !== null && Symbol.iterator in value)
    return [...(value as Iterable<unknown>)];
  throw new InvalidConfigError(`${name} is not a list`, {
    hint: typeof value === "string" ? 'Write ["…"], with each word a string of its own.' : "Give an array.",
  });
}

function checkFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw new InvalidConfigError(`${name} is given no function`);
}

type BuilderClass = abstract new (...parameters: never) => object;

/**
 * What a function of the caller makes of a builder: a callback in JavaScript may forget to return what it was given.
 *
 * @param name of what takes the function
 * @throws InvalidConfigError; what the function throws
 */
export function built<B extends object>(name: string, configure: (builder: B) => B, builder: B): B {
  checkFunction(name, configure);
  const result: unknown = configure(builder);
  if (result instanceof (builder.constructor as BuilderClass)) return result as B;
  throw new InvalidConfigError(`the function given to ${name} does not return its argument`, {
    hint: "Write it as options => options.setter(value).",
  });
}

/** A value for a message, whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
