import { InvalidConfigError, UnsupportedOperationError } from "../errors/index.ts";
import { defaultRootDisk, maximumRootDiskMib, minimumManagedMib, type RootDisk } from "./root-disk.ts";
import { built, checkMebibytes } from "./checks.ts";
import type { SettingType } from "./settings/setting.ts";
import type { Mebibytes } from "./sizes.ts";
import { refuseUnknownKeys } from "./keys/unknown-keys.ts";

/** The root disk as a setting takes it: a size in MiB of a managed one, or a description. */
export type RootDiskInput = number | Mebibytes | RootDisk | ((disk: RootDiskBuilder) => RootDiskBuilder);

/**
 * Says what a sandbox's writes go to: `builder.rootDisk(d => d.tmpfs().size(256))`. Without a kind it is a sparse file on
 * the host, 4096 MiB at most.
 */
export class RootDiskBuilder {
  #kind: "managed" | "tmpfs" = "managed";
  #sizeMib: number | null = null;
  #onlyOfOthers: string | null = null;

  /** Its size in MiB; it takes as much of the host's disk or of the guest's memory as was written. */
  size(mib: number | Mebibytes): this {
    this.#sizeMib = checkSize(mib);
    return this;
  }

  /** Keeps the writes in the guest's memory, half of it unless a size is given; they are lost when the sandbox stops. */
  tmpfs(): this {
    this.#kind = "tmpfs";
    return this;
  }

  /** Not in this version. @throws UnsupportedOperationError */
  flat(): this {
    throw notYet("flat()");
  }

  /** Not in this version. @throws UnsupportedOperationError */
  disk(_path: string): this {
    throw notYet("disk()");
  }

  /** Of a disk of the user's, which this version does not have. @throws InvalidConfigError from `build()` */
  format(_format: string): this {
    this.#onlyOfOthers ??= "format()";
    return this;
  }

  /** Of a flat disk or one of the user's, which this version does not have. @throws InvalidConfigError from `build()` */
  fstype(_fstype: string): this {
    this.#onlyOfOthers ??= "fstype()";
    return this;
  }

  /** Of a flat disk, which this version does not have. @throws InvalidConfigError from `build()` */
  cloneStrategy(_strategy: string): this {
    this.#onlyOfOthers ??= "cloneStrategy()";
    return this;
  }

  /** @throws InvalidConfigError */
  build(): RootDisk {
    if (this.#onlyOfOthers !== null) {
      throw new InvalidConfigError(
        `${this.#onlyOfOthers} of a root disk has a meaning only with flat() or disk()`,
        { hint: `Leave ${this.#onlyOfOthers} out.` },
      );
    }
    if (this.#kind === "tmpfs") return { kind: "tmpfs", sizeMib: this.#sizeMib };
    const sizeMib = this.#sizeMib ?? defaultRootDisk.sizeMib;
    if (sizeMib < minimumManagedMib) {
      throw new InvalidConfigError(`a root disk of ${sizeMib} MiB is too small`, {
        hint: `The smallest has ${minimumManagedMib} MiB.`,
      });
    }
    return { kind: "managed", sizeMib };
  }
}

/** @throws InvalidConfigError; UnsupportedOperationError for a kind of a later version */
export function checkRootDisk(input: RootDiskInput): RootDisk {
  if (typeof input === "number") return new RootDiskBuilder().size(input).build();
  if (typeof input === "function") return built("rootDisk", input, new RootDiskBuilder()).build();
  const { kind, sizeMib } = Object(input) as Readonly<Record<string, unknown>>;
  if (kind === "flat" || kind === "disk") throw notYet(kind);
  refuseUnknownKeys("rootDisk", input, ["kind", "sizeMib"]);
  if (kind !== "managed" && kind !== "tmpfs" && kind !== undefined) {
    throw new InvalidConfigError("the root disk is of no kind that is known", {
      hint: 'Give a size in MiB, {kind: "managed", sizeMib} or {kind: "tmpfs", sizeMib}.',
    });
  }
  const builder = new RootDiskBuilder();
  if (kind === "tmpfs") builder.tmpfs();
  if (sizeMib !== undefined && sizeMib !== null) builder.size(sizeMib as number);
  return builder.build();
}

export const rootDiskType: SettingType<RootDisk, RootDiskInput> = {
  form: { kind: "structure" },
  values: `a size of ${minimumManagedMib} MiB to 16 TiB; or memory, \`tmpfs\``,
  check: (_name, input) => checkRootDisk(input),
};

function checkSize(mib: number): number {
  const size = checkMebibytes("the size of the root disk", mib);
  if (size <= maximumRootDiskMib) return size;
  throw new InvalidConfigError(
    `the size of the root disk is ${size} MiB; it must be at most ${maximumRootDiskMib}`,
  );
}

function notYet(kind: string): UnsupportedOperationError {
  return new UnsupportedOperationError(
    `this version of microsandbox does not have the root disk ${kind} yet`,
    { hint: "Use a managed one, size(), or one in memory, tmpfs()." },
  );
}
