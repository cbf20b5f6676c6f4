import { oneLine, printableJson } from "./sanitize.ts";
import { joined, style, styled, Styled, type Format, type OutputStream, type Text } from "./style.ts";

/** `2026-05-01 13:37:00`, in the computer's time zone. `-` without a time. */
export function tableTime(time: Date | null): string {
  if (time === null) return "-";
  const two = (part: number): string => String(part).padStart(2, "0");
  const day = `${String(time.getFullYear())}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** RFC 3339 in UTC, as in JSON output. */
export function jsonTime(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `512 MiB`, `1.5 GiB`, `17 B`: at most one decimal, powers of 1024. */
export function bytes(count: number): string {
  let size = count;
  let unit = 0;
  while (size >= 1023.95 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${String(Math.round(size * 10) / 10)} ${units[unit] ?? ""}`;
}

/** `42s`, `3m 07s`, `5h 12m`, `3d 4h`: two parts at most. */
export function uptime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (part: number): string => String(part).padStart(2, "0");
  if (seconds < 60) return `${String(seconds)}s`;
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))}m ${two(seconds % 60)}s`;
  if (seconds < 86_400)
    return `${String(Math.floor(seconds / 3600))}h ${two(Math.floor((seconds % 3600) / 60))}m`;
  return `${String(Math.floor(seconds / 86_400))}d ${String(Math.floor((seconds % 86_400) / 3600))}h`;
}

/** `0.42 ms`, `12 ms`, `1.5 s`. */
export function latency(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

const statusFormats: Readonly<Record<string, Format>> = {
  running: "green",
  starting: "cyan",
  draining: "yellow",
  stopped: "dim",
  crashed: "red",
  stalled: "yellow",
  exited: "dim",
};

/** A status as tables show it: lower case, coloured. */
export function tableStatus(status: string, stream: OutputStream): Text {
  const format = statusFormats[status];
  return format === undefined ? status : style(format, status, stream);
}

/** A status as JSON shows it: `Running`. */
export function jsonStatus(status: string): string {
  return status.charAt(0).toUpperCase() + status.slice(1);
}

/** Pretty-printed JSON ending in a newline. No control character is in it as it is. */
export function json(value: unknown): string {
  return `${printableJson(JSON.stringify(value, null, 2))}\n`;
}

/** As `json`, in one line. */
export function jsonLine(value: unknown): string {
  return `${printableJson(JSON.stringify(value))}\n`;
}

/**
 * `Title:  content`, the contents below one another. Several lines of one field stand below its first; none is `-`.
 * A content is one line, whatever is in it.
 */
export function fieldLines(
  fields: readonly (readonly [title: string, content: Text | readonly string[]])[],
): Styled {
  const width = Math.max(...fields.map(([title]) => title.length)) + 2;
  const lines = fields.map(([title, content]) => {
    const parts = typeof content === "string" || content instanceof Styled ? [content] : content;
    const shown = parts.map((part) => (typeof part === "string" ? oneLine(part) : part));
    const below = `\n${" ".repeat(width)}`;
    return styled`${`${title}:`.padEnd(width)}${parts.length === 0 ? "-" : joined(shown, below)}\n`;
  });
  return joined(lines, "");
}
