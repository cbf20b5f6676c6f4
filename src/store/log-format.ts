import { isUtf8 } from "node:buffer";
import * as v from "valibot";

/** `exec.log` and `runtime.log` are cut at 10 MiB and kept three files long. */
export const logMaximumBytes = 10 * 1024 * 1024;
export const logMaximumFiles = 3;

export type LogSource = "stdout" | "stderr" | "output" | "system";

const lineSchema = v.object({
  /** RFC 3339, UTC, of the host. */
  t: v.string(),
  s: v.picklist(["stdout", "stderr", "output", "system"]),
  d: v.string(),
  /** The session, from 1; absent for `system`. */
  id: v.optional(v.number()),
  /** Of a job: how many bytes it had printed before these, whether they were kept or not. */
  o: v.optional(v.number()),
  /** `b64` when `d` is base64, for bytes that are no text. */
  e: v.optional(v.literal("b64")),
  /** What this session has written to this source so far ends here, within a line: what comes later is another one. */
  end: v.optional(v.literal(true)),
  /** On a file's first line: how many bytes the files before it held. Makes a position in the log unique. */
  base: v.optional(v.number()),
});

/** One line of `exec.log`, JSON Lines. */
export type LogLine = v.InferOutput<typeof lineSchema>;

/**
 * @param memory where a line of bytes that are no text is put: memory of so many bytes or more
 * @param offset of a job: how many bytes it had printed before
 */
export function encodeLogLine(
  source: LogSource,
  data: Buffer,
  sessionId: number | null,
  memory: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafe(bytes),
  offset: number | null = null,
): Buffer {
  const t = new Date().toISOString();
  const id = {
    ...(sessionId === null ? {} : { id: sessionId }),
    ...(offset === null ? {} : { o: offset }),
  };
  if (isText(data)) return Buffer.from(`${JSON.stringify({ t, s: source, d: data.toString(), ...id })}\n`);
  // Nothing in base64 has to be escaped or is more than a byte long; to look for that would take longer than all the rest.
  const head = `${JSON.stringify({ t, s: source, ...id, e: "b64" }).slice(0, -1)},"d":"`;
  const tail = '"}\n';
  const base64 = data.toString("base64");
  const length = head.length + base64.length + tail.length;
  const line = memory(length).subarray(0, length);
  line.write(head, 0, "latin1");
  line.write(base64, head.length, "latin1");
  line.write(tail, head.length + base64.length, "latin1");
  return line;
}

/** As grep has it, what holds a NUL is no text: JSON would write six characters for each, and take ten times as long. */
function isText(data: Buffer): boolean {
  return !data.includes(0) && isUtf8(data);
}

/** Says that a line without a newline has ended. */
export function formatLogEnd(source: LogSource, sessionId: number): string {
  return JSON.stringify({ t: new Date().toISOString(), s: source, d: "", id: sessionId, end: true }) + "\n";
}

/** The first line of every file of the log. */
export function formatLogHeader(base: number): string {
  return JSON.stringify({ t: new Date().toISOString(), s: "system", d: "", base }) + "\n";
}

/** @returns null for a line that is none, such as the last one of a machine that lost power */
export function parseLogLine(line: string): LogLine | null {
  try {
    const parsed = v.safeParse(lineSchema, JSON.parse(line));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

export function logLineData(line: LogLine): Buffer {
  return Buffer.from(line.d, line.e === "b64" ? "base64" : "utf8");
}

export const startedMarker = "--- sandbox started ---\n";
export const stoppedMarker = "--- sandbox stopped ---\n";

/** A line of the console log that says when the boot began whose lines follow. */
export function formatBootMarker(at: Date): string {
  return `--- boot ${at.toISOString()} ---\n`;
}

export function parseBootMarker(line: string): Date | null {
  const match = /^--- boot (\S+) ---$/.exec(line);
  return match?.[1] === undefined ? null : new Date(match[1]);
}
