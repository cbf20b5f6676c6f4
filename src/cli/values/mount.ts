import { statSync } from "node:fs";
import { join } from "node:path";
import type { MountConfig } from "../../api/index.ts";
import { userHomeDirectory } from "../../host/system/user-home.ts";
import { UsageError } from "../output/usage-error.ts";
import { parseMountOptions, type MountChange } from "./mount-options.ts";
import { parseSizeMib } from "./size.ts";

/** Something to mount, and its place in the guest. */
export interface MountChoice {
  readonly guest: string;
  readonly config: MountConfig;
}

/** Which kind `--mount-dir` and its like say. */
type MountWord = "dir" | "file" | "disk" | "named";

/**
 * `SRC:DEST[:OPTS]`: SRC that begins with `/`, `.` or `~` is a path of this computer, else a named volume. A volume that is missing is
 * made. A path is a disk image when the options have a format or a file system type.
 *
 * @throws UsageError
 */
export function parseVolume(text: string): MountChoice {
  const { source, guest, change } = parts(text, "SRC:DEST[:OPTS]");
  if (!/^[/.~]/.test(source)) return { guest, config: named(source, change) };
  const path = expanded(source);
  const isDisk = change.format !== undefined || change.fstype !== undefined;
  return { guest, config: isDisk ? { ...change, disk: path } : { ...change, bind: path } };
}

const sources: Readonly<Record<MountWord, string>> = {
  dir: "DIR",
  file: "FILE",
  disk: "IMAGE",
  named: "NAME",
};

/** The same, where it is said what it is. @throws UsageError */
export function parseMountOf(word: MountWord): (text: string) => MountChoice {
  return (text) => {
    const { source, guest, change } = parts(text, `${sources[word]}:DEST[:OPTS]`);
    if (word === "named") return { guest, config: named(source, change) };
    const path = expanded(source);
    // That something is there at all is looked at for every mount.
    const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory();
    if (isDirectory !== undefined && word !== "disk" && isDirectory !== (word === "dir"))
      throw new UsageError(
        `${path} is ${isDirectory ? "a directory" : "no directory"}.`,
        `Use --mount-${isDirectory ? "dir" : "file"}`,
      );
    return { guest, config: word === "disk" ? { ...change, disk: path } : { ...change, bind: path } };
  };
}

/** As docker does it: one that is missing is made. */
export function named(name: string, change: MountChange): MountConfig {
  return { ...change, named: name, mode: change.mode ?? "ensure-exists" };
}

/** A `~` that the shell has left, because it was quoted or did not stand at the beginning of a word. */
export function expanded(path: string): string {
  if (path !== "~" && !path.startsWith("~/")) return path;
  const home = userHomeDirectory();
  if (home === null) throw new UsageError("this user has no home directory.", "Write the path out");
  return join(home, path.slice(1));
}

/** `PATH[:SIZE][:OPTS]`; docker's `PATH:size=64m,noexec` too. @throws UsageError */
export function parseTmpfs(text: string): MountChoice {
  const [guest = "", ...rest] = text.split(":");
  if (guest === "" || rest.length > 2)
    throw new UsageError(
      `"${text}" is no mount.`,
      "It is written PATH[:SIZE][:OPTS], such as /scratch:64M:noexec",
    );
  const change: MountChange = {};
  for (const [index, part] of rest.entries()) {
    if (index === 0 && /^\d/.test(part)) change.sizeMib = parseSizeMib(part);
    else parseMountOptions(part, change);
  }
  return { guest, config: { ...change, tmpfs: true } };
}

/** The options are what is left: `owner=UID:GID` has a colon in it. */
function parts(text: string, form: string): { source: string; guest: string; change: MountChange } {
  const [, source = "", guest = "", options] = /^([^:]+):(\/[^:]*)(?::(?!\/)(.*))?$/s.exec(text) ?? [];
  if (source === "") {
    throw new UsageError(
      `"${text}" is no mount.`,
      `It is written ${form}, DEST an absolute path; a path with a colon goes into --mount type=bind,source=PATH,target=DEST`,
    );
  }
  return { source, guest, change: options === undefined ? {} : parseMountOptions(options) };
}
