import { resolve } from "node:path";
import { InvalidConfigError, PatchFailedError } from "../../errors/index.ts";
import { checkFlag, checkMode, checkOneOf, shown } from "../checks.ts";
import { PatchKinds, type PatchKind } from "../enums.ts";
import { checkContent, checkPath, checkString, isTooLongPath } from "../guest-text.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import type { Patch, PatchConfig } from "./patch.ts";

/** What each kind is made of. */
const keys: Readonly<Record<PatchKind, readonly (keyof PatchConfig)[]>> = {
  text: ["path", "content", "mode", "replace"],
  file: ["path", "content", "contentBytes", "mode", "replace"],
  copyFile: ["src", "dst", "mode", "replace", "keepDirectories"],
  copyDir: ["src", "dst", "replace", "keepDirectories"],
  symlink: ["target", "link", "replace"],
  mkdir: ["path", "mode"],
  remove: ["path"],
  append: ["path", "content"],
};

/**
 * A patch as it is kept: with every default but the mode, its source absolute, its bytes a copy.
 *
 * @param name of the setting, for messages
 * @throws InvalidConfigError; PatchFailedError for a path of the guest that cannot be patched
 */
export function checkPatch(name: string, input: PatchConfig): Patch {
  const given: unknown = input;
  if (typeof given !== "object" || given === null) {
    throw new InvalidConfigError(`${name} is ${shown(given)}, which is no patch`, {
      hint: "Make it with Patch.text(…), Patch.copyFile(…) and the like.",
    });
  }
  const kind = checkOneOf<PatchKind>(`the kind of ${name}`, input.kind, PatchKinds);
  refuseUnknownKeys(name, given, ["kind", ...keys[kind]]);
  const path = (key: "path" | "dst" | "link"): string => checkPatchPath(kind, name, key, input[key]);
  const replace =
    input.replace === undefined || input.replace === null
      ? false
      : checkFlag(`replace of ${name}`, input.replace);
  const mode =
    input.mode === undefined || input.mode === null
      ? {}
      : { mode: checkMode(`the mode of ${name}`, input.mode) };
  const isKept = input.keepDirectories ?? false;
  const keep = checkFlag(`keepDirectories of ${name}`, isKept) ? { keepDirectories: true } : {};
  const src = (): string => resolve(checkPath(`src of ${name}`, input.src));
  const text = (): string => checkContent(`the content of ${name}`, input.content);
  switch (kind) {
    case "text":
      return { kind, path: path("path"), content: text(), ...mode, replace };
    case "file":
      return { kind, path: path("path"), content: bytesOf(name, input), ...mode, replace };
    case "copyFile":
      return { kind, src: src(), dst: path("dst"), ...mode, replace, ...keep };
    case "copyDir":
      return { kind, src: src(), dst: path("dst"), replace, ...keep };
    case "symlink":
      return { kind, target: checkPath(`the target of ${name}`, input.target), link: path("link"), replace };
    case "mkdir":
      return { kind, path: path("path"), ...mode };
    case "remove":
      return { kind, path: path("path") };
    case "append":
      return { kind, path: path("path"), content: text() };
  }
}

/** Bytes that JSON takes as base64, so that they can be part of what is stored. */
export function jsonBytes(bytes: Buffer): Buffer {
  Object.defineProperty(bytes, "toJSON", { value: () => bytes.toString("base64") });
  return bytes;
}

function bytesOf(name: string, { content, contentBytes }: PatchConfig): Buffer {
  if (content !== undefined && contentBytes !== undefined && !areEqual(content, contentBytes)) {
    throw new InvalidConfigError(`${name} has a content and contentBytes, which differ`, {
      hint: "They are two names of one thing: give one of them.",
    });
  }
  const bytes = contentBytes ?? content;
  if (bytes instanceof Uint8Array) return jsonBytes(Buffer.from(bytes));
  throw new InvalidConfigError(`the content of ${name} is not bytes`, {
    hint: "Give a Uint8Array, or use the kind text.",
  });
}

function areEqual(one: unknown, other: Uint8Array): boolean {
  return one instanceof Uint8Array && Buffer.compare(one, other) === 0;
}

const directoryKinds: readonly PatchKind[] = ["copyDir", "mkdir", "remove"];

/** Repeated slashes and "." say nothing; ".." could say anything. A file that is copied to `/etc/` gets its own name there. */
function checkPatchPath(kind: PatchKind, name: string, key: string, value: unknown): string {
  if (typeof value !== "string") checkString(`${key} of ${name}`, value);
  const path = String(value);
  const refuse = (what: string, hint?: string): PatchFailedError =>
    new PatchFailedError(
      `cannot patch ${JSON.stringify(path)}: ${what}`,
      { kind, path, errno: null },
      { hint },
    );
  if (!path.startsWith("/")) throw refuse("it is not an absolute path", "Begin it with a /.");
  if (path.includes("\0")) throw refuse("it holds a NUL");
  if (!path.isWellFormed()) throw refuse("it holds half of a surrogate pair, which UTF-8 cannot encode");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse('a part of it is ".."', "Write the path that is meant.");
  const end = kind === "copyFile" && path.endsWith("/") ? "/" : "";
  if (path.endsWith("/") && end === "" && parts.length > 0 && !directoryKinds.includes(kind))
    throw refuse("a directory is meant by the / at its end", "Write the whole path of what is made.");
  if (parts.length === 0 && end === "") throw refuse("the root itself is not patched", "Name what is in it.");
  if (isTooLongPath(path)) {
    const why = "it is longer than the 4095 bytes of a path, or a part of it than the 255 of a name";
    throw refuse(why, "Choose a shorter one.");
  }
  return parts.length === 0 ? "/" : `/${parts.join("/")}${end}`;
}
