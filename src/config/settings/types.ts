import {
  checkCommandLine,
  checkFlag,
  checkGuestPath,
  checkHostname,
  checkMebibytes,
  checkOneOf,
  checkPositive,
  checkSignal,
  checkWhole,
} from "../checks.ts";
import { checkPath, checkString } from "../guest-text.ts";
import type { SettingType } from "./setting.ts";

/** A count. */
export function whole(minimum: number, maximum: number, unit = ""): SettingType<number, number> {
  return {
    form: { kind: "whole", minimum, maximum },
    values: `${minimum} to ${maximum}${unit === "" ? "" : ` ${unit}`}`,
    check: (name, value) => checkWhole(name, value, minimum, maximum),
  };
}

/** A size in whole MiB. */
export const mebibytes: SettingType<number, number> = {
  form: { kind: "mebibytes" },
  values: "MiB, at least 1",
  check: checkMebibytes,
};

/** A time that need not be whole. */
export const seconds: SettingType<number, number> = {
  form: { kind: "seconds" },
  values: "seconds, above 0",
  check: checkPositive,
};

/** The longest that a timer of Node waits, 25 days. */
export const longestTimerMs = 2 ** 31 - 1;

/** A time of a timer. */
export const milliseconds: SettingType<number, number> = {
  form: { kind: "milliseconds", maximum: longestTimerMs },
  values: "ms, from 0",
  check: (name, value) => checkWhole(name, value, 0, longestTimerMs),
};

export const text: SettingType<string, string> = {
  form: { kind: "text" },
  values: "text",
  check: checkString,
};

/** A program of the guest: a path, or a name that is searched for. */
export const program: SettingType<string, string> = {
  form: { kind: "text" },
  values: "text",
  check: checkPath,
};

export const guestPath: SettingType<string, string> = {
  form: { kind: "text" },
  values: "an absolute path",
  check: checkGuestPath,
};

export const hostname: SettingType<string, string> = {
  form: { kind: "text" },
  values: "1 to 64 bytes, no spaces",
  check: (_name, value) => checkHostname(value),
};

export const signal: SettingType<string, string> = {
  form: { kind: "text" },
  values: "`SIGINT`, `SIGRTMIN+3`, `3`",
  check: checkSignal,
};

/** One of some words. */
export function choice<const Word extends string>(words: readonly Word[]): SettingType<Word, string> {
  return {
    form: { kind: "choice", words },
    values: words.map((word) => `\`${word}\``).join(", "),
    check: (name, value) => checkOneOf(name, value, words),
  };
}

export const flag: SettingType<boolean, boolean> = {
  form: { kind: "flag" },
  values: "true, false",
  check: checkFlag,
};

/** A program with its arguments, or a part of that. */
export const words: SettingType<readonly string[], Iterable<string>> = {
  form: { kind: "words" },
  values: "words",
  check: checkCommandLine,
};
