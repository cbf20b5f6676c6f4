import { systemHint } from "../host/system-error.ts";
import { IoError, MicrosandboxError, RuntimeError, type MicrosandboxErrorCode } from "../errors/index.ts";
import { makeError } from "../errors/restore.ts";
import { errorTable, type DetailKind, type ErrorEntry } from "../errors/table.ts";
import type { FailureMessage } from "./generated/messages.ts";

/** Of a chain of causes, so many are sent. */
const mostCauses = 8;
const mostLogLines = 201;
/** A control frame takes 4 MiB; the rest of the message needs room too. */
const mostDetailBytes = 2 * 1024 * 1024;
/** Of a text or of bytes, so many at most; a quarter of it, and so on, when all is too much together. */
const longestField = 256 * 1024;

/** What the `details` of a Failure hold, as JSON. */
interface Details {
  /** The fields that the table of errors gives this code. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly log: readonly string[];
  readonly cause: Cause | null;
}

/** An error behind the error: one of ours with all it has, or the name, the text and the code (`ENOSPC`) of another. */
interface Cause extends Partial<Details> {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly hint?: string;
}

/**
 * An error as it crosses from the supervisor to a client. What is no error of this package becomes the cause of one: an IoError for
 * what a user can do something about, else a RuntimeError.
 */
export function encodeFailure(error: unknown): FailureMessage {
  const own = error instanceof MicrosandboxError ? error : ofThisPackage(error);
  const { code, hint } = own;
  let limit = longestField;
  let details = JSON.stringify(detailsOf(own, limit, mostCauses));
  while (Buffer.byteLength(details) > mostDetailBytes) {
    limit = Math.floor(limit / 4);
    details = JSON.stringify(detailsOf(own, limit, mostCauses));
  }
  return {
    type: "Failure",
    code,
    message: ending(own.message.toWellFormed(), longestField),
    hint: ending(hint.toWellFormed(), longestField),
    details,
  };
}

function ofThisPackage(error: unknown): MicrosandboxError {
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && systemCode(error) !== undefined ? error : undefined;
  const hint = systemHint(error);
  return hint === undefined ? new RuntimeError(message, { cause }) : new IoError(message, { cause, hint });
}

/**
 * The other way round: an error of the same class, with the same fields, log and causes. The peer may be of another version
 * or hostile: what does not fit the table is replaced by what says nothing.
 */
export function decodeFailure({ code, message, hint, details }: FailureMessage): MicrosandboxError {
  const { fields, log, cause } = parseObject(details);
  return decode({ code, message, hint, fields, log, cause }, mostCauses);
}

function detailsOf(error: MicrosandboxError, limit: number, depth: number): Details {
  const own = error.details as Readonly<Record<string, unknown>>;
  const fields = Object.entries<DetailKind>(errorTable[error.code].details).map(([name, kind]) => [
    name,
    encodeField(kind, own[name], limit),
  ]);
  return {
    fields: Object.fromEntries(fields) as Record<string, unknown>,
    log: error.log.slice(-mostLogLines).map((line) => ending(line, Math.ceil(limit / mostLogLines))),
    cause: error.cause instanceof Error && depth > 0 ? causeOf(error.cause, limit, depth - 1) : null,
  };
}

function causeOf(error: Error, limit: number, depth: number): Cause {
  const told = { name: ending(error.name, limit), message: ending(error.message, limit) };
  if (error instanceof MicrosandboxError) {
    return { ...told, code: error.code, hint: ending(error.hint, limit), ...detailsOf(error, limit, depth) };
  }
  const code = systemCode(error);
  const cause = error.cause instanceof Error && depth > 0 ? causeOf(error.cause, limit, depth - 1) : null;
  return { ...told, ...(code === undefined ? {} : { code: ending(code, limit) }), cause };
}

function encodeField(kind: DetailKind, value: unknown, limit: number): unknown {
  if (kind === "bytes" && value instanceof Uint8Array) {
    return Buffer.from(limit === 0 ? value.subarray(0, 0) : value.subarray(-limit)).toString("base64");
  }
  return typeof value === "string" ? ending(value, limit) : value;
}

interface Received {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly fields: unknown;
  readonly log: unknown;
  readonly cause: unknown;
}

function decode({ code, message, hint, fields, log, cause }: Received, depth: number): MicrosandboxError {
  const options = { hint, cause: decodeCause(cause, depth - 1) };
  const error = isKnown(code)
    ? makeError(code, message, decodeFields(errorTable[code], fields), options)
    : new RuntimeError(`${message} (an error of the unknown kind ${JSON.stringify(code)})`, options);
  error.addLog(Array.isArray(log) ? log.filter(isString).slice(-mostLogLines) : []);
  return error;
}

function decodeCause(cause: unknown, depth: number): Error | undefined {
  if (depth < 0 || !isObject(cause)) return undefined;
  const { name, code, fields, log } = cause;
  const message = textOf(cause["message"]);
  if (isString(code) && isKnown(code) && name === errorTable[code].class) {
    return decode({ code, message, hint: textOf(cause["hint"]), fields, log, cause: cause["cause"] }, depth);
  }
  const behind = decodeCause(cause["cause"], depth - 1);
  const error = new Error(message, behind === undefined ? undefined : { cause: behind });
  if (isString(name)) Object.defineProperty(error, "name", { value: name, configurable: true });
  return isString(code) ? Object.assign(error, { code }) : error;
}

function decodeFields({ details }: ErrorEntry, fields: unknown): Record<string, unknown> {
  const given = isObject(fields) ? fields : {};
  return Object.fromEntries(
    Object.entries(details).map(([name, kind]) => [name, decodeField(kind, given[name])]),
  );
}

function decodeField(kind: DetailKind, value: unknown): unknown {
  switch (kind) {
    case "string":
      return textOf(value);
    case "string?":
      return isString(value) ? value : null;
    case "number":
      return typeof value === "number" ? value : 0;
    case "number?":
      return typeof value === "number" ? value : null;
    case "boolean":
      return value === true;
    case "bytes":
      return Buffer.from(textOf(value), "base64");
    default:
      // The last word of every list is the one for what has none.
      return isString(value) && kind.includes(value) ? value : kind.at(-1);
  }
}

function isKnown(code: string): code is MicrosandboxErrorCode {
  return Object.hasOwn(errorTable, code);
}

function systemCode(error: Error): string | undefined {
  const code: unknown = "code" in error ? error.code : undefined;
  return isString(code) ? code : undefined;
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(json);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function textOf(value: unknown): string {
  return isString(value) ? value : "";
}

/** The end of a text: of what was printed, it is the end that tells. */
function ending(text: string, length: number): string {
  return text.length <= length ? text : text.slice(text.length - length).toWellFormed();
}
