import * as v from "valibot";
import {
  refuseLaterSettings,
  storedConfigSchema,
  type StoredConfig,
} from "../../config/sandbox/stored-config.ts";
import { UnsupportedOperationError } from "../../errors/index.ts";
import { suspensionSchema } from "../suspension.ts";

/** What a snapshot with memory calls its files. */
export const memoryName = "memory";
export const devicesName = "devices";

const bytesPerMib = 1024 * 1024;
/** Of the state of QEMU's devices; it has some 60 KB. */
const maximumDevicesBytes = 256 * bytesPerMib;

export const digestSchema = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
export const integritySchema = v.nullable(v.object({ algorithm: v.string(), digest: digestSchema }));
const sizeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

/** What a snapshot has besides its disk that others go on from: the memory of a guest, and what has to be known to use it. */
export const memoryPartSchema = v.object({
  memory: v.object({ size_bytes: v.pipe(sizeSchema, v.multipleOf(bytesPerMib)), integrity: integritySchema }),
  /** The state of QEMU's devices and of the processors. */
  devices: v.object({
    size_bytes: v.pipe(sizeSchema, v.maxValue(maximumDevicesBytes)),
    integrity: integritySchema,
  }),
  /** What the guest's agent had open, and what host the memory can be used on. */
  guest: suspensionSchema,
  /** How the sandbox was to be. No values of secrets: they are in no configuration. */
  config: storedConfigSchema,
  /** SHA-256 of the description in its canonical form without this: a guest is not gone on with that is not described as it was. */
  checksum: digestSchema,
});

export type MemoryPart = Readonly<v.InferOutput<typeof memoryPartSchema>>;

/** @throws UnsupportedOperationError for a setting of a later version */
export function refuseLaterConfig(stored: unknown): void {
  const { config } = Object(stored) as { readonly config?: unknown };
  if (typeof config === "object" && config !== null) refuseLaterSettings(config);
}

/**
 * Why there can be no snapshot with the memory of such a sandbox, or none can be used that says so: it would reach what lies elsewhere on
 * the host, and whoever gives a snapshot away does not say what that is on another one. null: there can.
 */
export function whyNoMemory({
  image,
  rootDisk,
  mounts,
  kernelPath,
  proxy,
  network,
}: StoredConfig): string | null {
  if (image.kind !== "oci")
    return `its root is a ${image.kind === "bind" ? "directory of the host" : "disk image"}`;
  if (rootDisk.kind !== "managed") return `its root disk is of the kind ${rootDisk.kind}`;
  const mount = mounts.find(({ kind }) => kind !== "tmpfs");
  if (mount !== undefined) return `something of the host is mounted at ${mount.guest}`;
  if (kernelPath !== null) return "it has a kernel of its own";
  if (proxy !== null && proxy.kind !== "socks4" && proxy.passwordEnv !== null)
    return "its proxy has a password from the environment";
  const hooks = network?.http?.hooks;
  if (hooks?.onRequest === true || hooks?.onResponse === true) return "a program looks at its requests";
  return null;
}

/**
 * What of a configuration goes with a snapshot. Ports are published by one sandbox, and what was patched is on its disk. Wherever the values
 * of its secrets are: whoever goes on from the snapshot gives them, so nobody else's description gets at a variable or a file of his.
 */
export function portable(config: StoredConfig): StoredConfig {
  const { network } = config;
  const secrets =
    network?.secrets.map((secret) => ({ ...secret, source: { kind: "stored" } as const })) ?? [];
  return {
    ...config,
    ...{ ports: [], patches: [], ephemeral: false, fromSnapshot: null },
    network: network === null ? null : { ...network, secrets },
  };
}

/** @throws UnsupportedOperationError */
export function requireMemory(what: string, config: StoredConfig): void {
  const why = whyNoMemory(config);
  if (why === null) return;
  throw new UnsupportedOperationError(`${what}: ${why}`, {
    hint: "Take a snapshot of its disk (without full()), or make the sandbox without that.",
  });
}
