import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { InvalidConfigError } from "../errors/index.ts";
import type { Home } from "./home.ts";
import { maximumRootDiskMib, minimumManagedMib, type StoredRootDisk } from "../config/root-disk.ts";
import { errorCode, ioError } from "../host/system-error.ts";

const logLevel = v.picklist(["trace", "debug", "info", "warn", "error"]);

const passwordSources = ["store", "password_env", "secret_name"] as const;

const registryAuth = v.pipe(
  v.object({
    username: v.pipe(v.string(), v.nonEmpty("must not be empty")),
    /** The credential store of the operating system. */
    store: v.nullish(v.literal("keyring")),
    /** The environment variable that holds the password. */
    password_env: v.nullish(v.pipe(v.string(), v.nonEmpty("must not be empty"))),
    /** A file in `secrets/registries` of the home directory. */
    secret_name: v.nullish(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "is no file name"))),
  }),
  v.check(
    (auth) => passwordSources.filter((source) => typeof auth[source] === "string").length === 1,
    `needs exactly one of ${passwordSources.join(", ")}`,
  ),
);

const registries = v.object({
  ca_certs: v.nullish(v.string()),
  hosts: v.nullish(
    v.record(v.string(), v.object({ insecure: v.nullish(v.boolean()), auth: v.nullish(registryAuth) })),
  ),
  /** Where earlier versions had `hosts.<host>.auth`. */
  auth: v.nullish(v.record(v.string(), registryAuth)),
});

/** A registry's login as `config.json` has it: whose it is and where the password lies. */
export type RegistryAuthEntry = v.InferOutput<typeof registryAuth>;
/** The `registries` of `config.json`. */
export type RegistriesConfig = v.InferOutput<typeof registries>;

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
    v.strictObject({ kind: v.literal("managed"), size_mib: managedMib }),
    v.strictObject({ kind: v.literal("tmpfs"), size_mib: v.optional(v.nullable(tmpfsMib)) }),
  ],
  `is neither a size of ${minimumManagedMib} to ${maximumRootDiskMib} MiB, nor {"kind": "managed", "size_mib": …}, nor {"kind": "tmpfs", "size_mib": …}`,
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

const schema = v.object({
  log_level: v.nullish(logLevel),
  images: v.optional(imageLimits),
  paths: v.optional(v.object({ libkrunfw: v.nullish(v.string()) })),
  registries: v.optional(registries),
  sandbox_defaults: v.optional(
    v.object({
      cpus: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255))),
      memory_mib: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1))),
      shell: v.nullish(v.string()),
      workdir: v.nullish(v.string()),
      thp: v.nullish(v.picklist(["always", "madvise", "never"])),
      metrics_sample_interval_ms: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
      disable_metrics_sample: v.nullish(v.boolean()),
      oci: v.optional(
        v.pipe(
          v.object({
            root_disk: v.nullish(rootDisk),
            /** The older spelling of a managed one. */
            upper_size_mib: v.nullish(managedMib),
          }),
          v.check(
            ({ root_disk, upper_size_mib }) =>
              (root_disk ?? null) === null || (upper_size_mib ?? null) === null,
            "has root_disk and upper_size_mib, which exclude each other",
          ),
        ),
      ),
    }),
  ),
  templates: v.optional(
    v.object({
      enabled: v.nullish(v.boolean()),
      max_size_mib: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
    }),
  ),
});

/** The user's settings, `config.json`; see `docs/configuration.md`. */
export type GlobalConfig = v.InferOutput<typeof schema>;

/** What an image's writable layer is to be where a sandbox does not say; null when the settings do not either. */
export function configuredRootDisk(config: GlobalConfig): StoredRootDisk | null {
  const { root_disk, upper_size_mib } = config.sandbox_defaults?.oci ?? {};
  const chosen = root_disk ?? upper_size_mib ?? null;
  if (chosen === null) return null;
  if (typeof chosen === "number") return { kind: "managed", sizeMib: chosen };
  return chosen.kind === "managed"
    ? { kind: "managed", sizeMib: chosen.size_mib }
    : { kind: "tmpfs", sizeMib: chosen.size_mib ?? null };
}

/**
 * Reads the user's settings. A missing file means the defaults.
 *
 * @throws InvalidConfigError that names the field, IoError
 */
export async function readGlobalConfig(home: Home): Promise<GlobalConfig> {
  let text: string;
  try {
    text = await readFile(home.configFile, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return {};
    throw ioError(`read ${home.configFile}`, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InvalidConfigError(`${home.configFile} is not JSON: ${String(error)}`, {
      cause: error,
      hint: "Correct the file, or remove it to use the defaults.",
    });
  }
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw new InvalidConfigError(`${home.configFile}: ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`, {
    hint: "Correct the field, or remove it to use its default.",
  });
}
