import { styleText } from "node:util";
import { sanitize } from "./sanitize.ts";

/**
 * What is printed. A string may come from anywhere, an image's maker, a registry, a guest: what would steer the terminal is
 * taken out of it when it is printed. `Styled` is text that may steer it: it is only made here, of our own
 * sequences and of strings that were cleaned. So a value cannot reach the terminal as it is because someone forgot about it.
 */
export type Text = string | Styled;

export type OutputStream = NodeJS.WritableStream;
export type Format = Parameters<typeof styleText>[0];

/** Text with colours; what is not ours in it is clean. */
export class Styled {
  readonly raw: string;

  /** @param raw - written as it is; use `style` and `styled` for anything but words of our own */
  constructor(raw: string) {
    this.raw = raw;
  }

  /** Without colours: who puts it into a string gets a string like others. */
  toString(): string {
    return sanitize(this.raw);
  }
}

/** As it is written to a stream. */
export function rawText(text: Text): string {
  return typeof text === "string" ? sanitize(text) : text.raw;
}

/**
 * Colours `text` when `stream` shows colours: it is a terminal, and NO_COLOR (https://no-color.org) is not set.
 * FORCE_COLOR wins over both.
 */
export function style(format: Format, text: Text, stream: OutputStream): Styled {
  return new Styled(paint(format, rawText(text), stream));
}

/** As `style`, for what is not cleaned: our own words, and what a guest wrote and the user asked for. */
export function paint(format: Format, text: string, stream: OutputStream): string {
  return styleText(format, text, { stream, validateStream: true });
}

/**
 * A tag for templates: what is written in the template is ours, the values are cleaned unless they are styled.
 *
 *     err(styled`${style("bold", "warn:", process.stderr)} ${message}\n`);
 */
export function styled(parts: TemplateStringsArray, ...values: readonly Text[]): Styled {
  return new Styled(parts.map((part, index) => part + rawText(values[index] ?? "")).join(""));
}

/** Texts one after another, with `separator`, which is ours, between them. */
export function joined(texts: readonly Text[], separator: string): Styled {
  return new Styled(texts.map(rawText).join(separator));
}
