import type { MountConfig } from "../../api/index.ts";
import { UsageError } from "../output/usage-error.ts";
import { parseSizeMib } from "./size.ts";

/** What an option says about a mount. */
export type MountChange = Partial<{ -readonly [Key in keyof MountConfig]: MountConfig[Key] }>;

type Apply = (value: string, change: MountChange) => void;

/** What the SDK refuses, it refuses with the value. */
const words =
  (key: keyof MountConfig): Apply =>
  (value, change) => {
    Object.assign(change, { [key]: value });
  };
const size =
  (key: keyof MountConfig): Apply =>
  (value, change) => {
    Object.assign(change, { [key]: parseSizeMib(value) });
  };

const valued: Readonly<Record<string, Apply>> = {
  "stat-virt": words("statVirtualization"),
  "host-perms": words("hostPermissions"),
  quota: size("quotaMib"),
  size: size("sizeMib"),
  kind: words("kind"),
  mode: words("mode"),
  fstype: words("fstype"),
  format: words("format"),
  owner: (value, change) => {
    const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(value) ?? [];
    if (uid === undefined)
      throw new UsageError(`"${value}" is no owner.`, "It is written UID:GID, in digits");
    change.owner = { uid: Number(uid), gid: Number(gid) };
  },
};

type Flag = keyof MountConfig & ("readonly" | "noexec" | "nosuid" | "nodev" | "overlay");
const flags: Readonly<Record<string, Flag>> = {
  ro: "readonly",
  readonly: "readonly",
  noexec: "noexec",
  nosuid: "nosuid",
  nodev: "nodev",
  overlay: "overlay",
};
/**
 * docker's labels for SELinux: what they are for, that a container may use the files, is so here anyway. The guest has no labels; this
 * user's own process reads and writes for it.
 */
const meaningless: readonly string[] = ["z", "Z"];

/** The opposites, which are what is done anyway. */
const opposites: Readonly<Record<string, keyof MountConfig>> = {
  rw: "readonly",
  exec: "noexec",
  suid: "nosuid",
  dev: "nodev",
};

const knownMountOptions = [
  ...Object.keys(flags),
  ...Object.keys(opposites),
  ...Object.keys(valued).map((key) => `${key}=`),
];

/** Reads one option, such as `ro` or `size=64M`. @throws UsageError */
export function applyMountOption(option: string, change: MountChange): void {
  const equals = option.indexOf("=");
  const key = equals === -1 ? option : option.slice(0, equals);
  const value = option.slice(equals + 1);
  const before = { ...change };
  const flag = Object.hasOwn(flags, key) ? flags[key] : undefined;
  const opposite = Object.hasOwn(opposites, key) ? opposites[key] : undefined;
  const apply = Object.hasOwn(valued, key) ? valued[key] : undefined;
  if (flag !== undefined && equals === -1) change[flag] = true;
  else if (opposite !== undefined && equals === -1) Object.assign(change, { [opposite]: false });
  else if (apply !== undefined && equals !== -1 && value !== "") apply(value, change);
  else {
    throw new UsageError(`"${option}" is no option of a mount.`, `There are ${knownMountOptions.join(", ")}`);
  }
  for (const [field, said] of Object.entries(before) as [keyof MountChange, unknown][]) {
    if (JSON.stringify(change[field]) !== JSON.stringify(said))
      throw new UsageError(`"${option}" contradicts another option of the same mount.`, "Give one of them");
  }
}

/** Reads a list of options, separated by commas. @param change what was said before @throws UsageError */
export function parseMountOptions(text: string, change: MountChange = {}): MountChange {
  for (const option of text.split(",")) if (!meaningless.includes(option)) applyMountOption(option, change);
  return change;
}
