import * as v from "valibot";
import { InvalidConfigError } from "../../errors/index.ts";
import { checkFlag, checkList } from "../checks.ts";
import { DiskImageFormats } from "../enums.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import type { SettingType } from "../settings/setting.ts";
import { VolumeKinds } from "../volumes/volume-config.ts";
import { GivenProvider } from "./given-provider.ts";
import { MountBuilder } from "./mount-builder.ts";
import {
  HostPermissionsList,
  NamedVolumeModes,
  StatVirtualizations,
  type SharedFiles,
  type VolumeMount,
} from "./volume-mount.ts";

/** What is mounted, as `MountBuilder.build()` makes it. */
export const mountsType: SettingType<readonly VolumeMount[], readonly VolumeMount[]> = {
  form: { kind: "structure" },
  values: "places with what is mounted there, see [volumes](volumes.md)",
  check: (name, input) =>
    checkDistinct(checkList(name, input).map((mount, index) => checkMount(`mounts[${index}]`, mount))),
  join: (earlier, later) => checkDistinct([...earlier, ...later]),
};

/** @throws InvalidConfigError when two are at one place */
function checkDistinct(mounts: readonly VolumeMount[]): readonly VolumeMount[] {
  const places = new Set<string>();
  for (const { guest } of mounts) {
    if (places.has(guest)) {
      throw new InvalidConfigError(`two mounts are at ${guest}`, { hint: "Give one of them another place." });
    }
    places.add(guest);
  }
  return mounts;
}

const common = ["kind", "guest", "readonly", "noexec", "nosuid", "nodev"];
const shared = ["statVirtualization", "hostPermissions", "overrideUid", "overrideGid", "quotaMib"];
const keys: Readonly<Record<string, readonly string[]>> = {
  bind: [...common, ...shared, "host", "overlay"],
  named: [...common, ...shared, "name", "namedMode", "namedKind", "sizeMib"],
  tmpfs: [...common, "sizeMib"],
  disk: [...common, "host", "format", "fstype"],
  provider: [...common, "provider", "timeoutMs", "cacheMs", "overrideUid", "overrideGid"],
};

/** Checks again what may have been made by hand. */
function checkMount(path: string, input: unknown): VolumeMount {
  const mount = saidOf(input) as VolumeMount;
  const kind: unknown = mount.kind;
  if (typeof kind !== "string" || !Object.hasOwn(keys, kind)) {
    throw new InvalidConfigError(`${path} is no mount`, {
      hint: "Make it with a MountBuilder, or use volumes with Mount.named(), Mount.tmpfs() and the like.",
    });
  }
  refuseUnknownKeys(path, mount, keys[kind] ?? []);
  const builder = new MountBuilder(mount.guest);
  for (const flag of ["readonly", "noexec", "nosuid", "nodev"] as const) {
    const value: unknown = mount[flag];
    if (value !== undefined) builder[flag](checkFlag(`${path}.${flag}`, value as boolean));
  }
  switch (mount.kind) {
    case "bind":
      builder.bind(mount.host);
      if (mount.quotaMib !== undefined) builder.quota(mount.quotaMib);
      if (mount.overlay !== undefined) builder.overlay(checkFlag(`${path}.overlay`, mount.overlay));
      return applyShared(path, builder, mount).build();
    case "named":
      builder.namedWith(mount.name, mount.namedMode, mount.namedKind, mount.sizeMib, mount.quotaMib);
      return applyShared(path, builder, mount).build();
    case "tmpfs":
      builder.tmpfs();
      if (isSaid(mount.sizeMib)) builder.size(mount.sizeMib);
      return builder.build();
    case "disk":
      builder.disk(mount.host);
      if (isSaid(mount.format)) builder.format(mount.format);
      if (isSaid(mount.fstype)) builder.fstype(mount.fstype);
      return builder.build();
    case "provider": {
      const { provider, timeoutMs, cacheMs } = mount;
      if (!(provider instanceof GivenProvider)) {
        throw new InvalidConfigError(`${path} has no provider`, {
          hint: "Make it with a MountBuilder, or use volumes with Mount.provider().",
        });
      }
      builder.provider(provider.files, { timeoutMs, cacheMs, onError: provider.onError });
      return applyShared(path, builder, mount).build();
    }
  }
}

/** What an object says: null is as good as left out, since others have such mounts with every field that any kind may have. */
function saidOf(input: unknown): object {
  return Object.fromEntries(Object.entries(Object(input) as object).filter(([, value]) => value !== null));
}

function isSaid<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

function applyShared(
  path: string,
  builder: MountBuilder,
  { statVirtualization, hostPermissions, overrideUid, overrideGid }: SharedFiles,
): MountBuilder {
  if (statVirtualization !== undefined) builder.statVirtualization(statVirtualization);
  if (hostPermissions !== undefined) builder.hostPermissions(hostPermissions);
  if (overrideUid === undefined && overrideGid === undefined) return builder;
  if (overrideUid === undefined || overrideGid === undefined) {
    const [said, missing] =
      overrideGid === undefined ? ["overrideUid", "overrideGid"] : ["overrideGid", "overrideUid"];
    throw new InvalidConfigError(`${path} has an ${said} and no ${missing}`, {
      hint: "Say both, or neither.",
    });
  }
  builder.owner(overrideUid, overrideGid);
  return builder;
}

const flags = {
  guest: v.string(),
  readonly: v.boolean(),
  noexec: v.boolean(),
  nosuid: v.boolean(),
  nodev: v.boolean(),
};
const sharedFiles = {
  statVirtualization: v.exactOptional(v.picklist(StatVirtualizations)),
  hostPermissions: v.exactOptional(v.picklist(HostPermissionsList)),
  overrideUid: v.exactOptional(v.number()),
  overrideGid: v.exactOptional(v.number()),
  quotaMib: v.exactOptional(v.number()),
};

/** The stored form. */
export const mountsSchema: v.GenericSchema<readonly VolumeMount[]> = v.array(
  v.variant("kind", [
    v.object({
      kind: v.literal("bind"),
      host: v.string(),
      ...flags,
      ...sharedFiles,
      overlay: v.exactOptional(v.literal(true)),
    }),
    v.object({
      kind: v.literal("named"),
      name: v.string(),
      ...flags,
      ...sharedFiles,
      namedMode: v.exactOptional(v.picklist(NamedVolumeModes)),
      namedKind: v.exactOptional(v.picklist(VolumeKinds)),
      sizeMib: v.exactOptional(v.number()),
    }),
    v.object({ kind: v.literal("tmpfs"), ...flags, sizeMib: v.nullable(v.number()) }),
    v.object({
      kind: v.literal("disk"),
      host: v.string(),
      ...flags,
      format: v.picklist(DiskImageFormats),
      fstype: v.nullable(v.string()),
    }),
    v.object({
      kind: v.literal("provider"),
      ...flags,
      timeoutMs: v.number(),
      cacheMs: v.number(),
      overrideUid: v.exactOptional(v.number()),
      overrideGid: v.exactOptional(v.number()),
    }),
  ]),
);
