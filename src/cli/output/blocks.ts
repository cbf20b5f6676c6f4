import { oneLine, sanitize } from "./sanitize.ts";
import { joined, style, styled, type OutputStream, type Styled } from "./style.ts";

export interface ErrorBlock {
  readonly text: string;
  readonly causes?: readonly string[];
  /** Verbatim lines that belong to the error, such as the end of the guest's console. */
  readonly excerpt?: { readonly title: string; readonly lines: readonly string[] };
  readonly hints?: readonly string[];
}

/**
 * Several lines ending in a newline:
 *
 *     error: failed to start "demo"
 *       → image: no such file
 *       → what to do about it
 */
export function errorBlock(block: ErrorBlock, stream: OutputStream): Styled {
  const lines = [
    styled`${style(["bold", "red"], "error:", stream)} ${style("bold", indented(block.text), stream)}`,
  ];
  // Escaped: as it is, it would stay so in the bundle, and one such character makes all of it two bytes each to read and compile.
  for (const cause of block.causes ?? [])
    lines.push(styled`  \u2192 ${style("white", indented(cause), stream)}`);
  if (block.excerpt !== undefined && block.excerpt.lines.length > 0) {
    lines.push(styled`  \u2192 ${style("white", `${block.excerpt.title}:`, stream)}`);
    for (const line of block.excerpt.lines) lines.push(style("dim", `      ${oneLine(line)}`, stream));
  }
  for (const hint of block.hints ?? []) {
    if (hint !== "") lines.push(style("dim", `  → ${indented(hint)}`, stream));
  }
  return styled`${joined(lines, "\n")}\n`;
}

/** Further lines of a message stand below the first one's text. */
function indented(text: string): string {
  return sanitize(text).replaceAll("\n", "\n    ");
}

/** `warn: text`, ending in a newline. */
export function warningLine(text: string, stream: OutputStream): Styled {
  return styled`${style(["bold", "yellow"], "warn:", stream)} ${indented(text)}\n`;
}

export interface Completion {
  readonly ok: boolean;
  /** Such as `Started`. */
  readonly verb: string;
  readonly target: string;
  readonly durationMs: number;
}

/** Shorter durations are not worth a reader's attention. */
const NOTABLE_DURATION_MS = 500;

/** One line ending in a newline: `   ✓ Started      demo (1.2s)`. */
export function completionLine(completion: Completion, stream: OutputStream): Styled {
  const mark = completion.ok ? style("green", "✓", stream) : style("red", "✗", stream);
  const duration =
    completion.durationMs > NOTABLE_DURATION_MS
      ? style("dim", ` (${(completion.durationMs / 1000).toFixed(1)}s)`, stream)
      : "";
  return styled`   ${mark} ${completion.verb.padEnd(12)} ${oneLine(completion.target)}${duration}\n`;
}
