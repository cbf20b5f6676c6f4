import { InvalidConfigError } from "../../errors/index.ts";
import { checkMebibytes, checkOneOf, shown } from "../checks.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import { labelsType, type Labels } from "../labels.ts";
import type { PairsInput } from "../pairs.ts";
import { maximumRootDiskMib, minimumManagedMib } from "../root-disk.ts";
import { checkVolumeName } from "../sandbox-name.ts";

/** What a named volume is on the host: a directory, or one file with a file system in it. */
export const VolumeKinds = ["dir", "disk"] as const;
export type VolumeKind = (typeof VolumeKinds)[number];

/** A named volume as it is to be made. Frozen. Sizes in MiB. */
export interface VolumeConfig {
  readonly name: string;
  readonly kind: VolumeKind;
  /** How much guests may add to a directory; null: as much as there is room for. */
  readonly quotaMib: number | null;
  /** Of a disk; null for a directory. */
  readonly capacityMib: number | null;
  readonly labels: Labels;
}

/** A named volume as fields of an object. */
export interface VolumeConfigInput {
  readonly name: string;
  /** By default `dir`; `directory` is another word for it. */
  readonly kind?: VolumeKind | "directory" | null;
  /** Of a directory, in MiB. */
  readonly quotaMib?: number | null;
  /** Of a disk, in MiB. */
  readonly capacityMib?: number | null;
  /** The same as `capacityMib`. */
  readonly sizeMib?: number | null;
  readonly labels?: PairsInput | null;
}

const inputKeys = [
  "name",
  "kind",
  "quotaMib",
  "capacityMib",
  "sizeMib",
  "labels",
] as const satisfies readonly (keyof VolumeConfigInput)[];

/** @throws InvalidConfigError for the first thing that is wrong */
export function checkVolumeConfig(input: VolumeConfigInput): VolumeConfig {
  refuseUnknownKeys("", input, inputKeys);
  const { name, quotaMib, labels } = input;
  checkVolumeName(name);
  const kind = checkVolumeKind(input.kind ?? "dir");
  const { capacityMib, sizeMib } = input;
  const size = capacityMib ?? sizeMib ?? null;
  if ((sizeMib ?? size) !== size) {
    throw new InvalidConfigError(
      `the volume ${name} has a capacityMib of ${shown(capacityMib)} and a sizeMib of ${shown(sizeMib)}`,
      { hint: "They are two names of one thing: give one of them." },
    );
  }
  if (kind === "dir" && size !== null) {
    throw new InvalidConfigError(`the volume ${name} is a directory, which has no size of its own`, {
      hint: "Give it a quota instead, or make it a disk.",
    });
  }
  if (kind === "disk" && (quotaMib ?? null) !== null) {
    throw new InvalidConfigError(`the volume ${name} is a disk, which has no quota`, {
      hint: "Its size is what it can hold.",
    });
  }
  const checked = labelsType.check("labels", labels ?? {});
  return Object.freeze({
    name,
    kind,
    quotaMib:
      (quotaMib ?? null) === null ? null : checkMebibytes("the quota of the volume", quotaMib as number),
    capacityMib: kind === "disk" ? checkCapacity(name, size) : null,
    labels: Object.freeze(checked),
  });
}

/** `directory` is another word for `dir`. @throws InvalidConfigError */
export function checkVolumeKind(kind: string): VolumeKind {
  return kind === "directory" ? "dir" : checkOneOf("the kind of the volume", kind, VolumeKinds);
}

function checkCapacity(name: string, mib: number | null): number {
  if (mib === null) {
    throw new InvalidConfigError(`the volume ${name} is a disk, and has no size`, {
      hint: "Say how large it is to be: size(1024), or --size 1G, for 1 GiB. It takes what is written to it.",
    });
  }
  const size = checkMebibytes("the size of the volume", mib);
  if (size < minimumManagedMib || size > maximumRootDiskMib) {
    throw new InvalidConfigError(
      `the size of the volume is ${size} MiB; a disk has ${minimumManagedMib} MiB to 16 TiB`,
      { hint: "Choose another size." },
    );
  }
  return size;
}
