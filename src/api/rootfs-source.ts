import { extname } from "node:path";
import { InvalidConfigError } from "../errors/index.ts";
import { DiskImageFormats, type DiskImageFormat } from "./enums.ts";

/** What a sandbox's root file system is made from. */
export type RootfsSource =
  | { readonly kind: "oci"; readonly reference: string }
  | { readonly kind: "bind"; readonly path: string }
  | {
      readonly kind: "disk";
      readonly path: string;
      readonly format: DiskImageFormat;
      readonly fstype?: string;
    };

/**
 * Tells what kind of root a string means: a name ending in `.qcow2`, `.raw` or `.vmdk` is a disk image; `.`, `..` and
 * what begins with `/`, `./` or `../` is a directory; everything else is an image reference.
 *
 * @throws InvalidConfigError when it is empty
 *
 * @example
 * ```ts
 * import { intoRootfsSource } from "microsandbox";
 *
 * console.log(intoRootfsSource("localhost/base").kind); // "oci"
 * ```
 */
export function intoRootfsSource(input: string | RootfsSource): RootfsSource {
  if (typeof input !== "string") return checkSource(input);
  if (input === "" || input.includes("\0")) {
    throw new InvalidConfigError("the image is empty or holds a NUL", {
      hint: "Name an image, such as localhost/base.",
    });
  }
  const extension = extname(input).slice(1).toLowerCase();
  const format = DiskImageFormats.find((known) => known === extension);
  if (format !== undefined) return { kind: "disk", path: input, format };
  if (input === "." || input === ".." || /^(\/|\.\/|\.\.\/)/.test(input))
    return { kind: "bind", path: input };
  return { kind: "oci", reference: input };
}

/** A copy, so that the caller's object stays the caller's. */
function checkSource(source: unknown): RootfsSource {
  const { kind, reference, path, format, fstype } = Object(source) as Readonly<Record<string, unknown>>;
  if (kind === "oci" && isText(reference)) return { kind, reference };
  if (kind === "bind" && isText(path)) return { kind, path };
  const known = DiskImageFormats.find((candidate) => candidate === format);
  if (kind === "disk" && isText(path) && known !== undefined && (fstype === undefined || isText(fstype))) {
    return { kind, path, format: known, ...(fstype === undefined ? {} : { fstype }) };
  }
  throw new InvalidConfigError("the image is no image source", {
    hint: 'Give a string, {kind: "oci", reference}, {kind: "bind", path} or {kind: "disk", path, format}.',
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}
