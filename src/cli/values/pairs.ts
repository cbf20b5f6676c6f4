import { readFileSync } from "node:fs";
import { UsageError } from "../output/usage-error.ts";

export type Pair = readonly [key: string, value: string];

/**
 * `KEY=VALUE`, or `KEY` for the value that the variable has in `environment`.
 *
 * @throws UsageError when the key is empty or the variable is not set
 */
export function parseEnvironment(text: string, environment: NodeJS.ProcessEnv = process.env): Pair {
  const equals = text.indexOf("=");
  const key = equals === -1 ? text : text.slice(0, equals);
  if (key === "")
    throw new UsageError(
      `"${text}" has no name.`,
      "Variables are written NAME=value, or NAME to copy it from here",
    );
  if (equals !== -1) return [key, text.slice(equals + 1)];
  const value = environment[key];
  if (value === undefined) {
    throw new UsageError(`the variable ${key} is not set here.`, `Set it, or give a value: ${key}=value`);
  }
  return [key, value];
}

/**
 * `KEY=VALUE`, or `KEY` for an empty value.
 *
 * @throws UsageError when the key is empty
 */
export function parseLabel(text: string): Pair {
  const equals = text.indexOf("=");
  const key = equals === -1 ? text : text.slice(0, equals);
  if (key === "") throw new UsageError(`"${text}" has no name.`, "Labels are written KEY=value or KEY");
  return [key, equals === -1 ? "" : text.slice(equals + 1)];
}

/**
 * `NAME=BODY`: the text of a script. A body without `#!` in front is run by `/bin/sh`.
 *
 * @throws UsageError
 */
export function parseScript(text: string): Pair {
  const equals = text.indexOf("=");
  if (equals < 1) throw new UsageError(`"${text}" is not a script.`, "Scripts are written NAME=text");
  const body = text.slice(equals + 1);
  return [text.slice(0, equals), body.startsWith("#!") ? body : `#!/bin/sh\n${body}\n`];
}

/**
 * `NAME:FILE`: a script that is read from a file of the host.
 *
 * @throws UsageError also when the file cannot be read
 */
export function parseScriptPath(text: string): Pair {
  const colon = text.indexOf(":");
  if (colon < 1 || colon === text.length - 1) {
    throw new UsageError(`"${text}" is not a script's file.`, "Script files are written NAME:path");
  }
  const path = text.slice(colon + 1);
  try {
    return [text.slice(0, colon), readFileSync(path, "utf8")];
  } catch (error) {
    throw new UsageError(`cannot read the script: ${error instanceof Error ? error.message : String(error)}`);
  }
}
