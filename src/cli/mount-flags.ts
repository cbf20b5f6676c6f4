import { repeated } from "./grammar/command.ts";
import { parseLongMount } from "./values/long-mount.ts";
import { parseMountOf, parseTmpfs, type MountChoice } from "./values/mount.ts";

/** The other ways to say `--volume`, which is the option of the setting. */
export const mountFlags = {
  mount: repeated({
    placeholder: "FIELDS",
    description:
      "docker's long form: type=volume,source=NAME,target=DEST[,readonly]; type is bind, volume, tmpfs or disk. Repeatable",
    parse: parseLongMount,
  }),
  mountDir: repeated({
    placeholder: "DIR:DEST[:OPTS]",
    description: "Mount a directory of this computer. Repeatable",
    parse: parseMountOf("dir"),
  }),
  mountFile: repeated({
    placeholder: "FILE:DEST[:OPTS]",
    description: "Mount a file of this computer. Repeatable",
    parse: parseMountOf("file"),
  }),
  mountDisk: repeated({
    placeholder: "IMAGE:DEST[:OPTS]",
    description:
      "Mount the file system in a disk image; OPTS such as ro, format=qcow2, fstype=ext4. Repeatable",
    parse: parseMountOf("disk"),
  }),
  mountNamed: repeated({
    placeholder: "NAME:DEST[:OPTS]",
    description:
      "Mount a named volume, made if it is missing; OPTS such as ro, kind=disk, size=1G. Repeatable",
    parse: parseMountOf("named"),
    completes: ["volume", ":"],
  }),
  tmpfs: repeated({
    placeholder: "PATH[:SIZE][:OPTS]",
    description: "Mount memory of the guest. Repeatable",
    parse: parseTmpfs,
  }),
} as const;

type MountFlag = "volume" | keyof typeof mountFlags;

/** What was said with any of them. */
export function mountsOf(options: Readonly<Record<MountFlag, readonly MountChoice[]>>): MountChoice[] {
  const { volume, mount, mountDir, mountFile, mountDisk, mountNamed, tmpfs } = options;
  return [volume, mount, mountDir, mountFile, mountDisk, mountNamed, tmpfs].flat();
}
