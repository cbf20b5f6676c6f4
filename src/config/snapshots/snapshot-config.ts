import { basename, dirname, join, resolve } from "node:path";
import { InvalidConfigError } from "../../errors/index.ts";
import type { GuestFlush } from "../enums.ts";
import { labelsType, type Labels } from "../labels.ts";
import { checkSandboxName, checkSnapshotGroup, checkSnapshotName } from "../sandbox-name.ts";

/** A snapshot as it is to be made. Frozen. */
export interface SnapshotConfig {
  /** Of the sandbox whose disk is captured. */
  readonly fromSandbox: string;
  readonly name: string;
  /** Those that it is one of; null: those of its sandbox. */
  readonly group: string | null;
  /** Where its directory goes; null: among the snapshots of this user's home. Absolute. */
  readonly destDir: string | null;
  readonly labels: Labels;
  /** Whether one that is there already is replaced. */
  readonly force: boolean;
  /** Whether the disk's content is hashed, so that `verify()` can tell whether it is still the same. */
  readonly recordIntegrity: boolean;
  /** Whether its memory is captured too. */
  readonly resumable: boolean;
  /** Whether a guest that runs writes to its disk what is only in its memory. */
  readonly guestFlush: GuestFlush;
}

/** What was said of a snapshot; null: not said. */
export interface SnapshotAsked {
  /** What the builder was made with: the name of the sandbox, or of the snapshot where `fromSandbox` says the sandbox. */
  readonly subject: string | null;
  readonly fromSandbox: string | null;
  readonly name: string | null;
  readonly group?: string | null;
  /** Of the snapshot's directory itself. */
  readonly path: string | null;
  readonly destDir: string | null;
  readonly labels: Labels;
  readonly force: boolean;
  readonly recordIntegrity: boolean;
  readonly resumable: boolean;
  readonly guestFlush: GuestFlush;
}

/** @throws InvalidConfigError for the first thing that is wrong */
export function checkSnapshotConfig(asked: SnapshotAsked): SnapshotConfig {
  const { force, recordIntegrity, resumable, guestFlush, group = null } = asked;
  const fromSandbox = asked.fromSandbox ?? asked.subject;
  if (fromSandbox === null) {
    throw new InvalidConfigError("the snapshot has no sandbox to be taken of", {
      hint: 'Name it: Snapshot.builder("snapshot").fromSandbox("sandbox").',
    });
  }
  checkSandboxName(fromSandbox);
  if (group !== null) checkSnapshotGroup(group);
  return Object.freeze({
    fromSandbox,
    ...placeOf(asked),
    group,
    labels: Object.freeze(labelsType.check("labels", asked.labels)),
    force,
    recordIntegrity,
    resumable,
    guestFlush,
  });
}

function placeOf(asked: SnapshotAsked): Pick<SnapshotConfig, "name" | "destDir"> {
  const { path, destDir } = asked;
  const name = asked.name ?? (asked.fromSandbox === null ? null : asked.subject);
  if (path !== null) {
    if (asked.name !== null || destDir !== null) {
      throw new InvalidConfigError("the snapshot has a path, and a name or a directory besides", {
        hint: "Say path(), or name() with or without destDir().",
      });
    }
    const directory = resolve(path);
    checkSnapshotName(basename(directory));
    return { name: basename(directory), destDir: dirname(directory) };
  }
  if (name === null) {
    throw new InvalidConfigError("the snapshot has no name", {
      hint: 'Give it one: name("before-upgrade").',
    });
  }
  checkSnapshotName(name);
  return { name, destDir: destDir === null ? null : resolve(destDir) };
}

/** The directory of a snapshot that is to be made. @param snapshots where those of the home are */
export function destinationOf({ name, destDir }: SnapshotConfig, snapshots: string): string {
  return join(destDir ?? snapshots, name);
}
