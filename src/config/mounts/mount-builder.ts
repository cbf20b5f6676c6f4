import { InvalidConfigError } from "../../errors/index.ts";
import { checkFlag, checkMebibytes, checkOneOf, checkWhole, shown } from "../checks.ts";
import { DiskImageFormats, type DiskImageFormat } from "../enums.ts";
import { checkString } from "../guest-text.ts";
import { checkFileSystemType, diskFormatOf } from "../rootfs-source.ts";
import { checkVolumeName } from "../sandbox-name.ts";
import { isWritable, type FileProvider } from "../../provider/file-provider.ts";
import type { Mebibytes } from "../sizes.ts";
import { checkVolumeKind, type VolumeKind } from "../volumes/volume-config.ts";
import { GivenProvider, type ProviderOptions } from "./given-provider.ts";
import { checkMountPath } from "./guest-mount-path.ts";
import { checkModifiers, type Modifiers } from "./mount-modifiers.ts";
import { checkProvider, checkProviderOptions } from "./provider-mounts.ts";
import {
  HostPermissionsList,
  NamedVolumeModes,
  StatVirtualizations,
  type HostPermissions,
  type NamedVolumeMode,
  type StatVirtualization,
  type VolumeMount,
} from "./volume-mount.ts";

type Source =
  | { readonly kind: "bind"; readonly host: string }
  | {
      readonly kind: "named";
      readonly name: string;
      readonly namedMode?: NamedVolumeMode;
      readonly namedKind?: VolumeKind;
      readonly sizeMib?: number;
      readonly quotaMib?: number;
    }
  | { readonly kind: "tmpfs" }
  | { readonly kind: "disk"; readonly host: string }
  | {
      readonly kind: "provider";
      readonly provider: GivenProvider;
      readonly timeoutMs: number;
      readonly cacheMs: number;
    };

/** As of disks. No guest has so much memory. */
const largestMib = 16 * 1024 * 1024;

/** The highest user or group id: 2³²−1 means "unchanged" to chown(2). */
const maximumId = 2 ** 32 - 2;

/**
 * Says what is mounted at a path of the guest: `builder.volume("/data", m => m.named("data").readonly())`. One of `bind()`, `named()`,
 * `namedWith()`, `tmpfs()`, `disk()` and `provider()` says what it is, the last of them counts; the others say how. What is wrong is thrown by `build()`.
 *
 * @example
 * ```ts
 * import { MountBuilder } from "microsandbox";
 *
 * console.log(new MountBuilder("/scratch/").tmpfs().size(64).noexec().build().guest); // "/scratch"
 * ```
 */
export class MountBuilder {
  readonly #guest: string;
  #source: Source | null = null;
  #modifiers: Modifiers = {};
  readonly #flags = { readonly: false, noexec: false, nosuid: false, nodev: false };
  #mistake: { readonly error: unknown } | null = null;

  /** @param guestPath absolute; made where it is missing */
  constructor(guestPath: string) {
    this.#guest = guestPath;
  }

  /** A directory of the host, or a single file. A relative path is this process's. */
  bind(hostPath: string): this {
    return this.#attempt(() => {
      this.#source = { kind: "bind", host: checkString("the directory to mount", hostPath) };
    });
  }

  /** A named volume that is there. */
  named(name: string): this {
    return this.namedWith(name);
  }

  /**
   * A named volume. `mode`: `existing` (the default), `create` (it must not be there), `ensure-exists` (made if it is missing). A volume
   * that is made is of the `kind`, a disk of `sizeMib`, a directory of `quotaMib`; one that is there must be as they say.
   */
  namedWith(
    name: string,
    mode?: NamedVolumeMode | null,
    kind?: VolumeKind | "directory" | null,
    sizeMib?: number | Mebibytes | null,
    quotaMib?: number | Mebibytes | null,
  ): this {
    return this.#attempt(() => {
      checkVolumeName(name);
      const said = <T>(value: T | null | undefined): value is T => value !== undefined && value !== null;
      this.#source = {
        kind: "named",
        name,
        ...(said(mode)
          ? { namedMode: checkOneOf("the mode of a named volume", mode, NamedVolumeModes) }
          : {}),
        ...(said(kind) ? { namedKind: checkVolumeKind(kind) } : {}),
        ...(said(sizeMib) ? { sizeMib: checkMebibytes("the size of the volume", sizeMib) } : {}),
        ...(said(quotaMib) ? { quotaMib: checkMebibytes("the quota of the volume", quotaMib) } : {}),
      };
    });
  }

  /** Memory of the guest: lost when it stops. How much at most, `size()` says. */
  tmpfs(...nothing: []): this {
    return this.#attempt(() => {
      const given: readonly unknown[] = nothing;
      if (given.length > 0) {
        throw new InvalidConfigError(`tmpfs() takes nothing, and is given ${shown(given[0])}`, {
          hint: "Write tmpfs().size(mib).",
        });
      }
      this.#source = { kind: "tmpfs" };
    });
  }

  /** A disk image of the host with a file system in it; one sandbox at a time can write it. */
  disk(hostPath: string): this {
    return this.#attempt(() => {
      this.#source = { kind: "disk", host: checkString("the disk image to mount", hostPath) };
    });
  }

  /**
   * Files that this program provides, for as long as it runs: a {@link FileProvider}, `memory()`, `readOnly()` or `union()`. A sandbox
   * with it is attached. It is read-only when the provider has no method that writes.
   */
  provider(files: FileProvider, options: ProviderOptions = {}): this {
    return this.#attempt(() => {
      const { onError, ...times } = checkProviderOptions(options);
      const checked = checkProvider(`the provider at ${this.#guest}`, files);
      this.#source = { kind: "provider", provider: new GivenProvider(checked, onError), ...times };
    });
  }

  /** Of a disk image; by default what its name ends in, else raw. */
  format(format: DiskImageFormat): this {
    return this.#modify("format", () => checkOneOf("the format of the disk image", format, DiskImageFormats));
  }

  /** The file system in a disk image; by default found out. */
  fstype(type: string): this {
    return this.#modify("fstype", () => checkFileSystemType(type));
  }

  /** Nothing can be written, whatever the guest does: the host sees to it. */
  readonly(enabled = true): this {
    return this.#flag("readonly", enabled);
  }

  /** MiB that memory may take at most; by default half of the guest's. */
  size(mib: number | Mebibytes): this {
    return this.#modify("sizeMib", () => {
      const size = checkMebibytes("the size of the mount", mib);
      if (size <= largestMib) return size;
      throw new InvalidConfigError(`the size of the mount is ${size} MiB, more than 16 TiB`, {
        hint: "Memory of the guest is all that there is for it: choose a smaller one.",
      });
    });
  }

  /** Programs in it are not run by the guest's kernel. `sh file` still works. */
  noexec(enabled = true): this {
    return this.#flag("noexec", enabled);
  }

  /** Set-user-ID bits in it mean nothing. */
  nosuid(enabled = true): this {
    return this.#flag("nosuid", enabled);
  }

  /** Device nodes in it open nothing. */
  nodev(enabled = true): this {
    return this.#flag("nodev", enabled);
  }

  /** Of directories of the host: where the owners and modes are kept that the guest gives; by default `strict`. */
  statVirtualization(mode: StatVirtualization): this {
    return this.#modify("statVirtualization", () =>
      checkOneOf("statVirtualization", mode, StatVirtualizations),
    );
  }

  /** Of directories of the host: whether the guest's chmod reaches the host's files; by default `private`: it does not. */
  hostPermissions(mode: HostPermissions): this {
    return this.#modify("hostPermissions", () => checkOneOf("hostPermissions", mode, HostPermissionsList));
  }

  /** Of a bind: how much the guest may add, in MiB. */
  quota(mib: number | Mebibytes): this {
    return this.#modify("quotaMib", () => checkMebibytes("the quota of the mount", mib));
  }

  /**
   * Of a bind of a directory: the guest sees it and writes into a layer of its own, which the sandbox keeps, at most `quota()` MiB, by
   * default 4,096. `Sandbox.changes()` tells what it has changed, `applyChanges()` writes that to the host.
   */
  overlay(enabled = true): this {
    const { overlay: _, ...others } = this.#modifiers;
    this.#modifiers = enabled ? { ...others, overlay: true } : others;
    return this;
  }

  /** Of directories of the host, and of what a program provides: shows all files as owned by this user and group. */
  owner(uid: number, gid: number): this {
    return this.#modify("owner", () => ({
      uid: checkWhole("the owner's user id", uid, 0, maximumId),
      gid: checkWhole("the owner's group id", gid, 0, maximumId),
    }));
  }

  /** @throws InvalidConfigError for the first thing that is wrong */
  build(): VolumeMount {
    // What a setter complained about is an error of this package.
    if (this.#mistake !== null) throw this.#mistake.error;
    const guest = checkMountPath(this.#guest);
    const source = this.#source;
    if (source === null) {
      throw new InvalidConfigError(`it is not said what is mounted at ${guest}`, {
        hint: "Call bind(), named(), tmpfs(), disk() or provider().",
      });
    }
    checkModifiers(guest, source, this.#modifiers, this.#flags.readonly);
    const { format, fstype, sizeMib, owner, ...shared } = this.#modifiers;
    const common = { guest, ...this.#flags };
    switch (source.kind) {
      case "tmpfs":
        return Object.freeze({ ...source, ...common, sizeMib: sizeMib ?? null });
      case "disk":
        return Object.freeze({
          ...source,
          ...common,
          format: format ?? diskFormatOf(source.host) ?? "raw",
          fstype: fstype ?? null,
        });
      case "provider":
        return Object.freeze({
          ...source,
          ...common,
          readonly: common.readonly || !isWritable(source.provider.files),
          ...ownerOf(owner),
        });
      case "bind":
      case "named":
        return Object.freeze({
          ...source,
          ...common,
          ...shared,
          ...ownerOf(owner),
        });
    }
  }

  #flag(name: "readonly" | "noexec" | "nosuid" | "nodev", enabled: boolean): this {
    return this.#attempt(() => {
      this.#flags[name] = checkFlag(`${name}()`, enabled);
    });
  }

  #modify<Key extends keyof Modifiers>(key: Key, check: () => NonNullable<Modifiers[Key]>): this {
    return this.#attempt(() => {
      this.#modifiers = { ...this.#modifiers, [key]: check() };
    });
  }

  #attempt(work: () => void): this {
    try {
      work();
    } catch (error) {
      this.#mistake ??= { error };
    }
    return this;
  }
}

function ownerOf(owner: Modifiers["owner"]): { overrideUid?: number; overrideGid?: number } {
  return owner === undefined ? {} : { overrideUid: owner.uid, overrideGid: owner.gid };
}
