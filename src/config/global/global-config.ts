import * as v from "valibot";
import { InvalidConfigError } from "../../errors/index.ts";
import { maximumRootDiskMib, minimumManagedMib, type RootDisk } from "../root-disk.ts";
import { rangedSchemaOf } from "../settings/schema.ts";
import type { AnySetting, GlobalOf, InputValue } from "../settings/setting.ts";
import { settingEntries, type SettingKey, type Settings } from "../settings/table.ts";
import { refuseUnreadKeys } from "./known-keys.ts";
import { registriesSchema } from "./registries.ts";

/** The settings of the table whose default stands in a section: `sandbox_defaults.cpus`. */
type Defaults<Prefix extends string> = {
  readonly [
    Key in SettingKey as GlobalOf<Settings[Key]> extends `${Prefix}${infer Name}`
      ? Name extends `${string}.${string}`
        ? never
        : Name
      : never
  ]?: InputValue<Settings[Key]> | null | undefined;
};

/** @param prefix of a section's keys, such as `sandbox_defaults.`; empty for the file itself */
function defaultsIn(prefix: string): v.ObjectEntries {
  const own = settingEntries.filter(
    ([, { global, type }]) =>
      global?.startsWith(prefix) === true &&
      !global.slice(prefix.length).includes(".") &&
      type.form.kind !== "structure",
  );
  return Object.fromEntries(
    own.map(([, { global = "", type }]) => [
      global.slice(prefix.length),
      v.nullish(v.pipe(rangedSchemaOf(type.form), checkedBy(type))),
    ]),
  );
}

/** What the setting itself would refuse, such as a relative path. */
function checkedBy(type: AnySetting["type"]): v.RawCheckAction<unknown> {
  return v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      type.check("it", dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Error ? error.message : String(error) });
    }
  });
}

const managedMib = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(minimumManagedMib),
  v.maxValue(maximumRootDiskMib),
);
const tmpfsMib = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maximumRootDiskMib));

/** A size in MiB, or a kind with its size. */
const rootDisk = v.union(
  [
    managedMib,
    v.object({ kind: v.literal("managed"), size_mib: managedMib }),
    v.object({ kind: v.literal("tmpfs"), size_mib: v.optional(v.nullable(tmpfsMib)) }),
  ],
  `is neither a size of ${minimumManagedMib} to ${maximumRootDiskMib} MiB, nor {"kind": "managed", "size_mib": …}, nor {"kind": "tmpfs", "size_mib": …}`,
);

const oci = v.pipe(
  v.object({
    root_disk: v.nullish(rootDisk),
    /** The older spelling of a managed one. */
    upper_size_mib: v.nullish(managedMib),
  }),
  v.check(
    ({ root_disk, upper_size_mib }) => (root_disk ?? null) === null || (upper_size_mib ?? null) === null,
    "has root_disk and upper_size_mib, which exclude each other",
  ),
);

/** Up to 4 PiB, whose number of bytes a double still has exactly. */
const limitMib = v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 32)));

/** What one image may take of the host while it comes into the store. */
const imageLimits = v.object({
  max_download_mib: limitMib,
  max_unpacked_mib: limitMib,
  max_rootfs_mib: limitMib,
  max_file_mib: limitMib,
  max_metadata_mib: limitMib,
  max_entries: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31))),
});

const sandboxDefaults = {
  disable_metrics_sample: v.nullish(v.boolean()),
  oci: v.nullish(oci),
};

const others = {
  images: v.nullish(imageLimits),
  registries: v.nullish(registriesSchema),
  ssh: v.nullish(
    v.object({
      inactivity_timeout_secs: v.nullish(
        v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
      ),
    }),
  ),
  templates: v.nullish(
    v.object({
      enabled: v.nullish(v.boolean()),
      max_size_mib: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
    }),
  ),
};

/** `config.json`. Its keys are also what its documentation is checked by. */
export const globalConfigSchema = v.object({
  ...defaultsIn(""),
  paths: v.nullish(v.object(defaultsIn("paths."))),
  sandbox_defaults: v.nullish(v.object({ ...defaultsIn("sandbox_defaults."), ...sandboxDefaults })),
  ...others,
});

type Output<Entries extends v.ObjectEntries> = v.InferOutput<v.ObjectSchema<Entries, undefined>>;

/** The user's settings, `config.json`; see `docs/configuration.md`. */
export interface GlobalConfig extends Defaults<"">, Output<typeof others> {
  readonly paths?: Defaults<"paths."> | null | undefined;
  readonly sandbox_defaults?:
    (Defaults<"sandbox_defaults."> & Output<typeof sandboxDefaults>) | null | undefined;
}

/**
 * Checks the content of `config.json`.
 *
 * @param where it was read, for the message
 * @throws InvalidConfigError that names the key; UnsupportedOperationError for a key of a later version
 */
export function checkGlobalConfig(json: unknown, where: string): GlobalConfig {
  refuseUnreadKeys(globalConfigSchema, json, where);
  const parsed = v.safeParse(globalConfigSchema, json);
  // The schema is made from the same table as the type.
  if (parsed.success) return parsed.output as GlobalConfig;
  const issue = parsed.issues[0];
  throw new InvalidConfigError(`${where}: ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`, {
    hint: "Correct the field, or remove it to use its default.",
  });
}

/** What an image's writable layer is to be where a sandbox does not say; null when the settings do not either. */
export function configuredRootDisk(config: GlobalConfig): RootDisk | null {
  const { root_disk, upper_size_mib } = config.sandbox_defaults?.oci ?? {};
  const chosen = root_disk ?? upper_size_mib ?? null;
  if (chosen === null) return null;
  if (typeof chosen === "number") return { kind: "managed", sizeMib: chosen };
  return chosen.kind === "managed"
    ? { kind: "managed", sizeMib: chosen.size_mib }
    : { kind: "tmpfs", sizeMib: chosen.size_mib ?? null };
}
