import { styleText } from "node:util";

export type OutputStream = NodeJS.WritableStream;
export type Format = Parameters<typeof styleText>[0];

/**
 * Colours `text` when `stream` shows colours: it is a terminal, and NO_COLOR (https://no-color.org) is not set.
 * FORCE_COLOR wins over both.
 */
export function style(format: Format, text: string, stream: OutputStream): string {
  return styleText(format, text, { stream, validateStream: true });
}
