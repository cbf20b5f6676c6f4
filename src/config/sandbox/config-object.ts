import { InvalidConfigError } from "../../errors/index.ts";
import { asksForNothing, laterConfigKeys } from "../keys/later-keys.ts";
import { mountFromConfig, type MountConfig } from "../mounts/mount-config.ts";
import { askedBySecrets } from "../network/network-object.ts";
import type { SecretInput } from "../network/interception/builders/secret-object.ts";
import { checkPorts, isSamePair, portsBesides } from "../network/ports.ts";
import { refuseUnknownLoginKeys, type RegistryInput } from "../registry-config.ts";
import { pairsOf } from "../pairs.ts";
import type { RootfsSource } from "../rootfs-source.ts";
import type { InputOf } from "../settings/setting.ts";
import { settings, type SettingKey, type Settings } from "../settings/table.ts";
import { refuseUnknownKeys } from "../keys/unknown-keys.ts";
import { SandboxDraft } from "./sandbox-draft.ts";

/** A sandbox's configuration as one object: the other way to say what {@link SandboxBuilder} says. */
export interface SandboxConfigInput extends InputOf<Settings> {
  readonly name: string;
  /** Required unless `fromSnapshot` is there. */
  readonly image?: string | RootfsSource | null;
  /** Who pulls the image; `registry.auth` wins over it. */
  readonly registryAuth?: { readonly username: string; readonly password: string } | null;
  /** What is mounted, by its place in the guest; `mounts` may have more. */
  readonly volumes?: Readonly<Record<string, MountConfig>> | Iterable<readonly [string, MountConfig]> | null;
  /** Ports over TCP as pairs; `ports` may have more. A pair that is among `ports` or `network.ports` is that one. */
  readonly portsTcp?: Iterable<readonly [host: number, guest: number]> | null;
  /** Secrets that never enter the guest; `network.secrets` may have more. One that is in both is that one. */
  readonly secrets?: Iterable<SecretInput> | null;
  /** The same over UDP. */
  readonly portsUdp?: Iterable<readonly [host: number, guest: number]> | null;
}

const settingKeys = Object.keys(settings) as readonly SettingKey[];
const knownKeys = [
  "name",
  ...settingKeys,
  "registryAuth",
  "volumes",
  "portsTcp",
  "portsUdp",
  "secrets",
  ...Object.keys(laterConfigKeys),
];

/** @throws InvalidConfigError when it is no object; what is wrong with its fields is told by the draft */
export function draftFromConfig(input: SandboxConfigInput): SandboxDraft {
  const given: unknown = input;
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new InvalidConfigError("the sandbox configuration must be an object");
  const draft = new SandboxDraft(input.name);
  draft.attempt(() => {
    refuseUnknownKeys("", given, knownKeys);
  });
  for (const key of settingKeys) {
    const value = key === "registry" ? registryOf(draft, input) : input[key];
    // Each setting checks what it is given.
    if (value !== null && value !== undefined) draft.set(key, value as never, key);
  }
  addVolumes(draft, input.volumes);
  addPorts(draft, "tcp", input.portsTcp);
  addPorts(draft, "udp", input.portsUdp);
  draft.joinNetwork(() => askedBySecrets("secrets", input.secrets));
  for (const [key, done] of Object.entries(laterConfigKeys)) {
    if (Object.hasOwn(given, key) && !asksForNothing(Reflect.get(given, key), done)) draft.notYet(key);
  }
  return draft;
}

function addVolumes(draft: SandboxDraft, volumes: SandboxConfigInput["volumes"]): void {
  if (volumes === null || volumes === undefined) return;
  draft.attempt(() => {
    for (const [guest, config] of pairsOf("volumes", volumes))
      draft.add("mounts", () => [mountFromConfig(guest as string, config as MountConfig)]);
  });
}

function addPorts(draft: SandboxDraft, protocol: "tcp" | "udp", pairs: SandboxConfigInput["portsTcp"]): void {
  if (pairs === null || pairs === undefined) return;
  const name = protocol === "tcp" ? "portsTcp" : "portsUdp";
  draft.add("ports", () =>
    portsBesides(
      draft.ports,
      checkPorts(name, pairs).map((port) => ({ ...port, protocol })),
      isSamePair,
    ),
  );
}

/** `registryAuth` is the login of a registry that has none of its own. */
function registryOf(draft: SandboxDraft, input: SandboxConfigInput): RegistryInput | null | undefined {
  const { registry, registryAuth } = input;
  if (registryAuth === undefined || registryAuth === null) return registry;
  draft.attempt(() => {
    refuseUnknownLoginKeys("registryAuth", registryAuth);
  });
  // What is no object is told as it is.
  const given: unknown = registry ?? {};
  if (typeof given !== "object") return registry;
  return { ...given, auth: registry?.auth ?? registryAuth };
}
