import { extname } from "node:path";
import { InvalidConfigError } from "../errors/index.ts";
import { DiskImageFormats, type DiskImageFormat } from "./enums.ts";
import { checkText, isText } from "./guest-text.ts";
import type { SettingType } from "./settings/setting.ts";
import { refuseUnknownKeys } from "./keys/unknown-keys.ts";

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
  if (checkText("the image", input) === "") {
    throw new InvalidConfigError("the image is empty", { hint: "Name an image, such as localhost/base." });
  }
  const format = diskFormatOf(input);
  if (format !== null) return { kind: "disk", path: input, format };
  if (input === "." || input === ".." || /^(\/|\.\/|\.\.\/)/.test(input))
    return { kind: "bind", path: input };
  return { kind: "oci", reference: input };
}

export const imageType: SettingType<RootfsSource, string | RootfsSource> = {
  form: { kind: "structure" },
  values: "a reference, a directory, a disk image",
  check: (_name, input) => intoRootfsSource(input),
};

/** By the end of the name; null for any other name. */
export function diskFormatOf(path: string): DiskImageFormat | null {
  const extension = extname(path).slice(1).toLowerCase();
  return DiskImageFormats.find((known) => known === extension) ?? null;
}

/** A name as mount(2) takes it: it goes to the guest as it is. @throws InvalidConfigError */
export function checkFileSystemType(type: string): string {
  if (typeof type === "string" && /^[a-z0-9][a-z0-9._-]{0,31}$/.test(type)) return type;
  throw new InvalidConfigError(`${JSON.stringify(type)} is no name of a file system`, {
    hint: "Use ext4, or leave fstype out.",
  });
}

/** A copy, so that the caller's object stays the caller's. */
function checkSource(source: unknown): RootfsSource {
  const { kind, reference, path, format, fstype } = Object(source) as Readonly<Record<string, unknown>>;
  const allow = (...keys: string[]): void => {
    refuseUnknownKeys("image", source, ["kind", ...keys]);
  };
  if (kind === "oci" && isFilled(reference)) {
    allow("reference");
    return { kind, reference };
  }
  if (kind === "bind" && isFilled(path)) {
    allow("path");
    return { kind, path };
  }
  const known = DiskImageFormats.find((candidate) => candidate === format);
  if (kind === "disk" && isFilled(path) && known !== undefined) {
    allow("path", "format", "fstype");
    if (fstype === undefined) return { kind, path, format: known };
    return { kind, path, format: known, fstype: checkFileSystemType(fstype as string) };
  }
  throw new InvalidConfigError("the image is no image source", {
    hint: 'Give a string, {kind: "oci", reference}, {kind: "bind", path} or {kind: "disk", path, format}.',
  });
}

function isFilled(value: unknown): value is string {
  return isText(value) && value !== "";
}
