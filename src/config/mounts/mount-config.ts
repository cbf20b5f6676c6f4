import { InvalidConfigError } from "../../errors/index.ts";
import { checkFlag, checkObject } from "../checks.ts";
import type { DiskImageFormat } from "../enums.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import type { FileProvider } from "../../provider/file-provider.ts";
import type { VolumeKind } from "../volumes/volume-config.ts";
import type { ProviderOptions } from "./given-provider.ts";
import { MountBuilder } from "./mount-builder.ts";
import type { HostPermissions, NamedVolumeMode, StatVirtualization, VolumeMount } from "./volume-mount.ts";

/** What is mounted, as one object: exactly one of `bind`, `named`, `tmpfs`, `disk` and `provider`. Sizes in MiB. */
export interface MountConfig {
  /** A directory or file of the host. */
  readonly bind?: string | null;
  /** A named volume. */
  readonly named?: string | null;
  /** Memory. */
  readonly tmpfs?: boolean | null;
  /** A disk image of the host. */
  readonly disk?: string | null;
  /** Files that this program provides. */
  readonly provider?: FileProvider | null;
  readonly readonly?: boolean | null;
  readonly noexec?: boolean | null;
  readonly nosuid?: boolean | null;
  readonly nodev?: boolean | null;
  /** Of memory; or of a named disk that is to be made. */
  readonly sizeMib?: number | null;
  /** Of a disk image. */
  readonly format?: DiskImageFormat | null;
  readonly fstype?: string | null;
  /** Of a named volume, as `MountBuilder.namedWith()` has them. */
  readonly mode?: NamedVolumeMode | null;
  readonly kind?: VolumeKind | "directory" | null;
  /** Of a bind; or of a named directory that is to be made. */
  readonly quotaMib?: number | null;
  readonly statVirtualization?: StatVirtualization | null;
  readonly hostPermissions?: HostPermissions | null;
  readonly owner?: { readonly uid: number; readonly gid: number } | null;
  /** Of a provider. */
  readonly timeoutMs?: number | null;
  readonly cacheMs?: number | null;
  readonly onError?: ProviderOptions["onError"];
  /** Of a bind of a directory: as `MountBuilder.overlay()`. */
  readonly overlay?: boolean | null;
}

const sources = [
  "bind",
  "named",
  "tmpfs",
  "disk",
  "provider",
] as const satisfies readonly (keyof MountConfig)[];
const known = [
  ...sources,
  ...["readonly", "noexec", "nosuid", "nodev", "sizeMib", "format", "fstype", "mode", "kind", "quotaMib"],
  ...["statVirtualization", "hostPermissions", "owner", "overlay", "timeoutMs", "cacheMs", "onError"],
];

/** Says to a builder what an object says. @throws InvalidConfigError for what is no such object */
export function configureMount(builder: MountBuilder, path: string, config: MountConfig): MountBuilder {
  refuseUnknownKeys(path, config, known);
  const chosen = sources.filter((source) => {
    const value: unknown = config[source];
    return value !== undefined && value !== null && value !== false;
  });
  const [source, second] = chosen;
  if (source === undefined || second !== undefined) {
    const found = source === undefined ? "none" : chosen.join(" and ");
    throw new InvalidConfigError(`${path} must have exactly one of ${sources.join(", ")}; it has ${found}`, {
      hint: 'Write {named: "data"}, {bind: "/path"}, {tmpfs: true}, {disk: "/path.raw"} or {provider: files}.',
    });
  }
  const said = <Key extends keyof MountConfig>(
    key: Key,
    apply: (value: NonNullable<MountConfig[Key]>) => unknown,
  ): void => {
    const value: unknown = config[key];
    if (value !== undefined && value !== null) apply(value as NonNullable<MountConfig[Key]>);
  };
  said("bind", (host) => builder.bind(host));
  said("named", (name) => builder.namedWith(name, config.mode, config.kind, config.sizeMib, config.quotaMib));
  said("tmpfs", (value) => {
    if (checkFlag(`${path}.tmpfs`, value)) builder.tmpfs();
  });
  said("disk", (host) => builder.disk(host));
  said("provider", (files) => {
    const { timeoutMs, cacheMs, onError } = config;
    builder.provider(files, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(cacheMs === undefined ? {} : { cacheMs }),
      ...(onError === undefined ? {} : { onError }),
    });
  });
  if (source !== "provider")
    refuseFor(source, path, config, ["timeoutMs", "cacheMs", "onError"], "providers");
  for (const flag of ["readonly", "noexec", "nosuid", "nodev"] as const)
    said(flag, (value) => builder[flag](checkFlag(`${path}.${flag}`, value)));
  if (source !== "named") {
    said("sizeMib", (mib) => builder.size(mib));
    said("quotaMib", (mib) => builder.quota(mib));
    refuseFor(source, path, config, ["mode", "kind"], "named volumes");
  }
  said("format", (format) => builder.format(format));
  said("fstype", (type) => builder.fstype(type));
  said("statVirtualization", (mode) => builder.statVirtualization(mode));
  said("hostPermissions", (mode) => builder.hostPermissions(mode));
  said("owner", (owner) => {
    refuseUnknownKeys(`${path}.owner`, owner, ["uid", "gid"]);
    builder.owner(owner.uid, owner.gid);
  });
  said("overlay", (value) => builder.overlay(checkFlag(`${path}.overlay`, value)));
  return builder;
}

/** @throws InvalidConfigError for a key that is of no meaning for what is mounted */
function refuseFor(
  source: string,
  path: string,
  config: MountConfig,
  keys: readonly (keyof MountConfig)[],
  whose: string,
): void {
  for (const key of keys) {
    if (config[key] === undefined || config[key] === null) continue;
    throw new InvalidConfigError(`${path}.${key} has no meaning for what is mounted (${source})`, {
      hint: `It is for ${whose}: leave it out.`,
    });
  }
}

/** @throws InvalidConfigError */
export function mountFromConfig(guest: string, config: MountConfig): VolumeMount {
  return configureMount(new MountBuilder(guest), `volumes[${JSON.stringify(guest)}]`, config).build();
}

/** What is no object would say nothing. @throws InvalidConfigError */
function given<T extends object>(factory: string, options: T): T {
  return checkObject(`the last argument of Mount.${factory}()`, options);
}

type Options<Key extends keyof MountConfig> = Pick<
  MountConfig,
  Key | "readonly" | "noexec" | "nosuid" | "nodev"
>;
type SharedKeys = "statVirtualization" | "hostPermissions" | "owner" | "quotaMib";

/**
 * Makes the values of `volumes` in a configuration object.
 *
 * @example
 * ```ts
 * import { Mount, Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.create({
 *   name: "mount-example",
 *   image: "localhost/base",
 *   replace: true,
 *   volumes: { "/scratch": Mount.tmpfs({ sizeMib: 16 }) },
 * });
 * console.log((await sandbox.shell("df -m /scratch | tail -1")).stdout());
 * ```
 */
export const Mount = {
  /** A directory or file of the host. */
  bind: (path: string, options: Options<SharedKeys | "overlay"> = {}): MountConfig => ({
    bind: path,
    ...given("bind", options),
  }),
  /** A named volume. */
  named: (name: string, options: Options<SharedKeys | "mode" | "kind" | "sizeMib"> = {}): MountConfig => ({
    named: name,
    ...given("named", options),
  }),
  /** Memory of the guest. */
  tmpfs: (options: Options<"sizeMib"> = {}): MountConfig => ({
    tmpfs: true,
    ...given("tmpfs", options),
  }),
  /** A disk image of the host. */
  disk: (path: string, options: Options<"format" | "fstype"> = {}): MountConfig => ({
    disk: path,
    ...given("disk", options),
  }),
  /** Files that this program provides. */
  provider: (
    files: FileProvider,
    options: Options<"owner" | "timeoutMs" | "cacheMs" | "onError"> = {},
  ): MountConfig => ({ provider: files, ...given("provider", options) }),
};
