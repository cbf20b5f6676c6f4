import * as v from "valibot";
import { keyed } from "../config/keys/keyed.ts";
import { ImageError } from "../errors/index.ts";
import { requireDigest } from "./digest.ts";
import { check, parseObject } from "./json.ts";
import { maximumConfigBytes } from "./manifest.ts";

// Go writes an empty list or map as null.
const strings = v.nullish(v.array(v.string()));
/** Images of docker before 1.10 have a plain string where there is a list now. */
const command = v.nullish(
  v.union([
    v.array(v.string()),
    v.pipe(
      v.string(),
      v.transform((text) => [text]),
    ),
  ]),
);

/** Builders that take labels from YAML or TOML write numbers and truth values as what they are there. */
const label = v.union([
  v.string(),
  v.pipe(v.union([v.number(), v.boolean()]), v.transform(String)),
  v.pipe(
    v.null(),
    v.transform(() => ""),
  ),
]);

const schema = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  created: v.nullish(v.string()),
  config: v.nullish(
    v.object({
      Env: strings,
      Cmd: command,
      Entrypoint: command,
      WorkingDir: v.nullish(v.string()),
      User: v.nullish(v.string()),
      Labels: v.nullish(keyed(label)),
      StopSignal: v.nullish(v.string()),
      ExposedPorts: v.nullish(keyed(v.unknown())),
    }),
  ),
  rootfs: v.object({ type: v.literal("layers"), diff_ids: v.nullish(v.array(v.string())) }),
});

/** What an image says about how it wants to be run. Empty strings and lists count as unset. */
export interface ImageConfig {
  /** `K=V` each. */
  readonly env: readonly string[];
  readonly cmd: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly workingDir: string | null;
  readonly user: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string | null;
  /** Such as `80/tcp`. */
  readonly exposedPorts: readonly string[];
  /** In Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly os: string;
  /** RFC 3339; null when the builder left it out. */
  readonly created: string | null;
  /** Of the layers' uncompressed tars, bottom to top. */
  readonly diffIds: readonly string[];
}

/**
 * Reads an image configuration (image-spec, config.md; docker's is the same where it matters).
 *
 * @param layerCount how many layers the manifest has
 * @throws ImageError
 */
export function parseImageConfig(bytes: Uint8Array, layerCount: number, what: string): ImageConfig {
  if (bytes.length > maximumConfigBytes) throw new ImageError(`${what} is too long`);
  const { config, rootfs, architecture, os, created } = check(schema, parseObject(bytes, what), what);
  const diffIds = rootfs.diff_ids ?? [];
  if (diffIds.length !== layerCount) {
    throw new ImageError(`${what} lists ${diffIds.length} layers, but the manifest has ${layerCount}`);
  }
  diffIds.forEach((diffId, i) => requireDigest(diffId, `diff id ${i} of ${what}`));
  return {
    env: config?.Env ?? [],
    cmd: filled(config?.Cmd),
    entrypoint: filled(config?.Entrypoint),
    workingDir: text(config?.WorkingDir),
    user: text(config?.User),
    labels: config?.Labels ?? {},
    stopSignal: text(config?.StopSignal),
    exposedPorts: Object.keys(config?.ExposedPorts ?? {}),
    architecture,
    os,
    created: text(created),
    diffIds,
  };
}

function filled(list: readonly string[] | null | undefined): readonly string[] | null {
  return list === null || list === undefined || list.length === 0 ? null : list;
}

function text(value: string | null | undefined): string | null {
  return value === null || value === undefined || value === "" ? null : value;
}
