import { errno, longestName } from "../../file-server/fuse/numbers.ts";
import { Refusal } from "../../file-server/fuse/refusal.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Files that are removed while they are open have such names in the root until they are closed: a provider knows paths alone. The
 * guest does not see them. (NFS does the same with `.nfs…`.)
 */
const removedPrefix = ".msb-removed-";

export function isRemovedName(name: string): boolean {
  return name.startsWith(removedPrefix);
}

/** One that no other file has. */
export function removedName(): string {
  return `${removedPrefix}${crypto.randomUUID()}`;
}

/** A name of the guest's as text. @param bytes one character for each byte @returns null for what is no UTF-8: no provider has it */
export function textOf(bytes: string): string | null {
  try {
    return utf8.decode(Buffer.from(bytes, "latin1"));
  } catch {
    return null;
  }
}

/** The same of a name that is to be made. @throws Refusal EILSEQ */
export function requireText(bytes: string): string {
  const text = textOf(bytes);
  if (text === null) throw new Refusal(errno.ilseq);
  return text;
}

/** What is wrong with a name that a provider has told; null for nothing. */
export function mistakeIn(name: unknown): string | null {
  if (typeof name !== "string") return "an entry has no name";
  if (name === "" || name === "." || name === "..") return `an entry is named ${JSON.stringify(name)}`;
  if (name.includes("/") || name.includes("\0")) return "the name of an entry holds a / or a zero byte";
  if (!name.isWellFormed()) return "the name of an entry is no well-formed text";
  if (Buffer.byteLength(name) > longestName)
    return `the name of an entry is longer than ${longestName} bytes`;
  return null;
}
