import type { MountConfig } from "../../api/index.ts";
import { UsageError } from "../output/usage-error.ts";
import { applyMountOption, type MountChange } from "./mount-options.ts";
import { expanded, named, type MountChoice } from "./mount.ts";
import { parseSizeMib } from "./size.ts";

const form =
  "It is written type=volume,source=NAME,target=PATH[,readonly]; type is bind, volume, tmpfs or disk";
const types = ["bind", "volume", "tmpfs", "disk"] as const;

/**
 * docker's long form of a mount: fields with commas between them. A field that holds a comma stands in double quotes, as in CSV.
 *
 * @throws UsageError
 */
export function parseLongMount(text: string): MountChoice {
  let type = "volume";
  let source: string | null = null;
  let guest: string | null = null;
  const change: MountChange = {};
  for (const field of fields(text)) {
    const equals = field.indexOf("=");
    const [key, value] = equals === -1 ? [field, null] : [field.slice(0, equals), field.slice(equals + 1)];
    if (key === "type" && value !== null) type = value === "named" ? "volume" : value;
    else if ((key === "source" || key === "src") && value !== null) source = once("source", source, value);
    else if (["target", "destination", "dst"].includes(key) && value !== null)
      guest = once("target", guest, value);
    else if ((key === "readonly" || key === "ro") && value !== null)
      applyMountOption(truth(field, value) ? "ro" : "rw", change);
    else if (key === "tmpfs-size" && value !== null) {
      // 0 is what docker calls no limit: what is done without a size.
      if (!/^0+$/.test(value)) applyMountOption(`size=${bytesInMib(value)}`, change);
    } else applyMountOption(field, change);
  }
  if (guest === null || guest === "") throw new UsageError(`"${text}" names no target.`, form);
  const known = types.find((candidate) => candidate === type);
  if (known === undefined) throw new UsageError(`"${type}" is no type of a mount.`, form);
  if (known === "tmpfs") {
    if (source !== null) throw new UsageError("memory has no source.", "Leave source= out");
    return { guest, config: { ...change, tmpfs: true } };
  }
  if (source === null || source === "") throw new UsageError(`"${text}" names no source.`, form);
  return { guest, config: sourceOf(known, source, change) };
}

function sourceOf(type: "bind" | "volume" | "disk", source: string, change: MountChange): MountConfig {
  if (type === "volume") return named(source, change);
  const path = expanded(source);
  return type === "disk" ? { ...change, disk: path } : { ...change, bind: path };
}

function once(name: string, before: string | null, value: string): string {
  if (before === null || before === value) return value;
  throw new UsageError(`two fields say the ${name}: "${before}" and "${value}".`, "Give one of them");
}

/** As RFC 4180 has it, in one line. */
function fields(text: string): string[] {
  const found: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) throw new UsageError(`"${text}" has a quote in the middle of a field.`, form);
    const [, quoted, plain = "", separator] = match;
    found.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (separator === "") return found;
  }
}

function truth(field: string, value: string): boolean {
  // As docker reads it: strconv.ParseBool of Go.
  if (["1", "t", "T", "TRUE", "true", "True"].includes(value)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(value)) return false;
  throw new UsageError(`"${field}" is neither true nor false.`, "Write readonly, or readonly=false");
}

/** docker takes a number alone for bytes here. */
function bytesInMib(value: string): number {
  if (!/^\d+$/.test(value)) return parseSizeMib(value);
  return Math.ceil(Number(value) / (1024 * 1024));
}
