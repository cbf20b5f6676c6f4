import * as v from "valibot";
import { keyed } from "../keys/keyed.ts";
import { UnsupportedOperationError } from "../../errors/index.ts";
import { DiskImageFormats } from "../enums.ts";
import { asksForNothing } from "../keys/later-keys.ts";
import { mountsSchema } from "../mounts/mounts-setting.ts";
import { networkSchema, portsSchema, proxySchema } from "../network/network-schema.ts";
import { storedPatchSchema } from "../patches/stored-patch.ts";
import { rlimitResources } from "../rlimits.ts";
import { defaultRootDisk } from "../root-disk.ts";
import { schemaOf } from "../settings/schema.ts";
import type { StoredOf } from "../settings/setting.ts";
import { settingEntries, type SettingKey, type Settings } from "../settings/table.ts";

/** How a sandbox was asked to be, with every default filled in. It does not change while the sandbox exists. */
export interface StoredConfig extends StoredOf<Settings> {
  /** Of the image's manifest, fixed when the sandbox was made; null for `localhost/base` and what is no image. */
  readonly imageDigest: string | null;
  /** Of the snapshot whose disk it began with; null for none. */
  readonly snapshotDigest: string | null;
  /** The id of the sandbox that it is a fork of; null for none. */
  readonly forkedFrom: string | null;
  /** The user's own guest kernel; null = the one that comes with this package. */
  readonly kernelPath: string | null;
}

/** JSON has no infinity: null means no limit. */
const limit = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.POSITIVE_INFINITY),
);

const pairs = v.array(v.tuple([v.string(), v.string()]));

/** The settings whose stored form is more than a value. */
const structures: Partial<Record<SettingKey, v.GenericSchema>> = {
  image: v.variant("kind", [
    v.object({ kind: v.literal("oci"), reference: v.string() }),
    v.object({ kind: v.literal("bind"), path: v.string() }),
    v.object({
      kind: v.literal("disk"),
      path: v.string(),
      format: v.picklist(DiskImageFormats),
      fstype: v.optional(v.string()),
    }),
  ]),
  /** Of no meaning for a root that the guest writes itself: a directory or a disk of the user's. */
  rootDisk: v.optional(
    v.variant("kind", [
      v.object({ kind: v.literal("managed"), sizeMib: v.number() }),
      v.object({ kind: v.literal("tmpfs"), sizeMib: v.nullable(v.number()) }),
    ]),
    () => defaultRootDisk,
  ),
  mounts: mountsSchema,
  network: networkSchema,
  ports: portsSchema,
  proxy: proxySchema,
  env: pairs,
  scripts: pairs,
  labels: keyed(v.string()),
  patches: v.array(storedPatchSchema),
  rlimits: v.array(v.object({ resource: v.picklist(rlimitResources), soft: limit, hard: limit })),
};

/**
 * A value with a default may be missing: the sandbox was made before there was the setting, and is as such sandboxes are.
 * So the default of a new setting must be what was done without it.
 */
const entries = settingEntries
  .filter(([, { stored }]) => stored)
  .map(([key, { type, nullable, default: builtIn }]): [string, v.GenericSchema] => {
    const schema = structures[key] ?? schemaOf(type.form);
    if (nullable) return [key, v.optional(v.nullable(schema), null)];
    return [key, builtIn === null ? schema : v.optional(schema, () => builtIn)];
  });

/** The `config` of a sandbox's record. */
export const storedConfigSchema = v.object({
  ...Object.fromEntries(entries),
  imageDigest: v.optional(v.nullable(v.string()), null),
  snapshotDigest: v.optional(v.nullable(v.string()), null),
  forkedFrom: v.optional(v.nullable(v.string()), null),
  kernelPath: v.nullable(v.string()),
}) as unknown as v.GenericSchema<unknown, StoredConfig>;

const knownKeys: ReadonlySet<string> = new Set([
  ...entries.map(([key]) => key),
  "imageDigest",
  "snapshotDigest",
  "forkedFrom",
  "kernelPath",
]);

/**
 * Refuses the record of a later version that asks for what this one would leave out: it might be what keeps the guest in. A key
 * that asks for nothing (null, false, empty) is passed over, so that a sandbox that has no part in the new setting can be used.
 *
 * @throws UnsupportedOperationError that names the key
 */
export function refuseLaterSettings(config: object): void {
  const later = Object.entries(config).find(
    ([key, value]) => !knownKeys.has(key) && !asksForNothing(value, [false]),
  );
  if (later === undefined) return;
  throw new UnsupportedOperationError(
    `the sandbox has the setting ${later[0]}, which this version of microsandbox does not know`,
    { hint: "A later version made it: use that one, or remove the sandbox (msb rm -f NAME)." },
  );
}

/** @throws when the text is not what it should be */
export function parseStoredConfig(json: string): StoredConfig {
  return v.parse(storedConfigSchema, JSON.parse(json));
}
