import { InvalidConfigError } from "../errors/index.ts";

/**
 * Text that is handed on: to the guest's kernel and programs, into files, to the system calls of the host. What one of them
 * would refuse, cut or change is refused where the user gives it, before anything is made.
 */

/** Of one argument or environment variable with the NUL at its end: MAX_ARG_STRLEN, 32 pages (execve(2)). */
const maximumArgumentBytes = 32 * 4096;
/** Of a path with its NUL (include/uapi/linux/limits.h). */
const maximumPathBytes = 4096;
/** Of one name in a path. */
const maximumNameBytes = 255;

/** Why something is no text that can be handed on, as the end of a sentence; null when it is one. */
function textFault(value: unknown): string | null {
  if (typeof value !== "string") return "is not text";
  if (value.includes("\0")) return "holds a NUL";
  return wellFormedFault(value);
}

/** UTF-8 has no half of a surrogate pair: something else would arrive. */
function wellFormedFault(value: string): string | null {
  return value.isWellFormed() ? null : "holds half of a surrogate pair, which UTF-8 cannot encode";
}

export function isText(value: unknown): value is string {
  return textFault(value) === null;
}

/** Text, which may be empty. @throws InvalidConfigError */
export function checkText(name: string, value: unknown): string {
  const fault = textFault(value);
  if (fault !== null) throw new InvalidConfigError(`${name} ${fault}`);
  return value as string;
}

/** Text that is not empty. @throws InvalidConfigError */
export function checkString(name: string, value: unknown): string {
  const text = checkText(name, value);
  if (text === "")
    throw new InvalidConfigError(`${name} is empty`, { hint: "Give it a value, or leave it out." });
  return text;
}

/** A file's content, which may hold NULs. @throws InvalidConfigError */
export function checkContent(name: string, value: unknown): string {
  const fault = typeof value === "string" ? wellFormedFault(value) : "is not text";
  if (fault !== null) throw new InvalidConfigError(`${name} ${fault}`);
  return value as string;
}

/** One argument of a command, or an environment variable with its name. @throws InvalidConfigError */
export function checkArgument(name: string, value: unknown): string {
  const text = checkText(name, value);
  // No character takes more than three bytes of a UTF-16 unit.
  if (text.length * 3 < maximumArgumentBytes) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes < maximumArgumentBytes) return text;
  throw new InvalidConfigError(
    `${name} has ${bytes} bytes; Linux takes at most ${maximumArgumentBytes - 1}`,
    {
      hint: "Pass it in a file or through stdin.",
    },
  );
}

/** Whether there can be nothing of this name, because it or a part of it is longer than Linux takes. Bytes need not be UTF-8. */
export function isTooLongPath(path: unknown): boolean {
  if (typeof path !== "string" && !(path instanceof Uint8Array)) return false;
  const bytes = Buffer.from(path);
  if (bytes.length >= maximumPathBytes) return true;
  // As latin1 a byte is a character.
  return bytes
    .toString("latin1")
    .split("/")
    .some((part) => part.length > maximumNameBytes);
}

/** What is looked up in the guest's file system: a path, or a program's name. @throws InvalidConfigError */
export function checkPath(name: string, value: unknown): string {
  const text = checkString(name, value);
  if (Buffer.byteLength(text) >= maximumPathBytes)
    throw new InvalidConfigError(`${name} is longer than the ${maximumPathBytes - 1} bytes of a path`);
  for (const part of text.split("/")) checkNameLength(name, part);
  return text;
}

/** @throws InvalidConfigError unless it is the name of one file */
export function checkFileName(name: string, value: unknown): string {
  const text = checkString(name, value);
  if (text.includes("/") || text === "." || text === "..")
    throw new InvalidConfigError(`${name} ${JSON.stringify(text)} is not a single file name`);
  checkNameLength(name, text);
  return text;
}

function checkNameLength(name: string, part: string): void {
  if (Buffer.byteLength(part) <= maximumNameBytes) return;
  throw new InvalidConfigError(
    `${name} has a part of more than the ${maximumNameBytes} bytes of a file name`,
    {
      hint: "Choose a shorter one.",
    },
  );
}
