import type { Form } from "../../config/settings/setting.ts";
import type { ParseValue } from "../grammar/command.ts";
import { parseDurationMs, parseDurationSecs } from "./duration.ts";
import { oneOf, text, wholeNumber } from "./simple.ts";
import { parseSizeMib } from "./size.ts";

/** How a value of a simple form is written on the command line. */
export function parserOf(form: Form): ParseValue<unknown> {
  switch (form.kind) {
    case "whole":
      return wholeNumber(form.minimum, form.maximum);
    case "mebibytes":
      return parseSizeMib;
    case "seconds":
      return parseDurationSecs;
    case "milliseconds":
      return parseDurationMs;
    case "text":
      return text;
    case "choice":
      return oneOf(form.words);
    case "words":
      // One word: the others come after `--`.
      return (word) => (word === "" ? [] : [word]);
    case "flag":
    case "structure":
      throw new Error(`an option of the form ${form.kind} has no parser of this kind`);
  }
}

/** A value of a simple form, for people. */
export function showValue(form: Form, value: unknown): string {
  switch (form.kind) {
    case "mebibytes":
      return `${String(value)} MiB`;
    case "seconds":
      return `${String(value)} s`;
    case "milliseconds":
      return `${String(value)} ms`;
    case "flag":
      return value === true ? "yes" : "no";
    case "words":
      return (value as readonly string[]).join(" ");
    case "whole":
    case "text":
    case "choice":
      return String(value);
    case "structure":
      throw new Error("a value of this form has a text of its own");
  }
}
