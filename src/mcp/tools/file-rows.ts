import type { FsEntry, FsMetadata } from "../../api/index.ts";
import type { Outcome, Truncation } from "../call/outcome.ts";
import { textAt } from "../state/kept-outputs.ts";

/** A name in a directory, for a result. */
export function entryRow({ path, kind, size, mode, modified }: FsEntry): object {
  return { path, kind, size, mode: octal(mode), modified };
}

/** What is known about a file, for a result. */
export function metadataRow(found: FsMetadata & { readonly uid?: number; readonly gid?: number }): object {
  const { kind, size, mode, modified, created, uid, gid } = found;
  return { kind, size, mode: octal(mode), modified, created, uid, gid };
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

/** A part of a file for a result. @param bytes from `offset` on, one more than `most` where there is more */
export function partOf(
  bytes: Buffer,
  most: number,
  offset: number,
  totalBytes: number,
  how: "utf8" | "base64",
): Outcome {
  const isText = how === "utf8";
  const part = textAt(bytes, 0, most);
  const returnedBytes = isText ? part.bytes : Math.min(bytes.length, most);
  const content = isText ? part.text : bytes.toString("base64", 0, returnedBytes);
  const nextOffset = offset + returnedBytes;
  const truncated: Truncation[] =
    bytes.length <= returnedBytes
      ? []
      : [{ field: "content", returnedBytes, totalBytes, rest: `call again with offset ${nextOffset}` }];
  return { data: { content, encoding: how, offset, returnedBytes }, truncated };
}
