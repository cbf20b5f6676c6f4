import { InvalidConfigError } from "../../errors/index.ts";
import { refuseSettings } from "../keys/refuse-settings.ts";
import { finishedNetwork, type NetworkValues } from "../network/finished-network.ts";
import { joinNetworks, type AskedNetwork } from "../network/network-settings.ts";
import type { PublishedPort } from "../network/network-type.ts";
import { isSamePort, portsBesides } from "../network/ports.ts";
import { checkPatchable } from "../patches/check-patchable.ts";
import { checkEnvSize } from "../env.ts";
import { checkSandboxName } from "../sandbox-name.ts";
import type { AnySetting, InputValue } from "../settings/setting.ts";
import { settersOf, settingEntries, settings, type SettingKey, type Settings } from "../settings/table.ts";
import { checkSecretEnv, guestEnv } from "./guest-env.ts";
import { nothingBeside, type BesideConfig } from "./beside-config.ts";
import { deepFreeze, type SandboxConfig } from "./sandbox-config.ts";
import { checkHostShutdown, filesOf } from "./suspendable.ts";

/** Until the snapshot is read. */
const imageOfSnapshot = { kind: "oci", reference: "" } as const;

/**
 * A sandbox's configuration while it is put together: the one code path behind the builder and the configuration object.
 * What is wrong is remembered and thrown by `finish`; the first mistake counts.
 */
export class SandboxDraft {
  readonly #name: unknown;
  /** Every value has passed its setting's check. */
  readonly #values = new Map<SettingKey, unknown>(settingEntries.map(([key, { initial }]) => [key, initial]));
  readonly #unsupported = new Set<string>();
  #mistake: unknown = null;

  constructor(name: unknown) {
    this.#name = name;
  }

  /** What was set that this version cannot do, by the setters' names. */
  get unsupported(): readonly string[] {
    return [...this.#unsupported];
  }

  /** What was given and is no part of the configuration. */
  get beside(): BesideConfig {
    const given = this.#network?.given ?? nothingBeside;
    return { unsupported: this.unsupported, secrets: given.secrets, hooks: given.hooks };
  }

  /** The ports that were said so far, with those that were said of the network. */
  get ports(): readonly PublishedPort[] {
    const ports = this.#values.get("ports") as readonly PublishedPort[];
    return [...ports, ...portsBesides(ports, this.#network?.ports ?? [], isSamePort)];
  }

  get #network(): AskedNetwork | null {
    return this.#values.get("network") as AskedNetwork | null;
  }

  /** What the root is made from; null when nothing was said. @throws InvalidConfigError for more than a snapshot allows */
  get #image(): SandboxConfig["image"] | null {
    const image = this.#values.get("image") as SandboxConfig["image"] | null;
    if (this.#values.get("fromSnapshot") === null) return image;
    const patches = this.#values.get("patches") as SandboxConfig["patches"];
    const isSaid = {
      "an image": image !== null,
      "a root disk": this.#values.get("rootDisk") !== null,
      patches: patches.length > 0,
    };
    for (const [what, said] of Object.entries(isSaid)) {
      if (!said) continue;
      throw new InvalidConfigError(`the sandbox begins with a snapshot, which goes without ${what}`, {
        hint: "The snapshot has an image and a disk, with what was patched: leave one of them out.",
      });
    }
    return imageOfSnapshot;
  }

  /** Runs a check and keeps its first complaint for later. */
  attempt(check: () => unknown): void {
    try {
      check();
    } catch (error) {
      this.#mistake ??= error;
    }
  }

  /** Notes a setting that a later version brings, after its arguments have been looked at. */
  notYet(setting: string, check?: () => void): void {
    this.attempt(() => {
      check?.();
      this.#unsupported.add(setting);
    });
  }

  /**
   * Sets what the user gave, or adds it to what was given before.
   *
   * @param name what the user calls it; by default as the builder does
   */
  set<Key extends SettingKey>(key: Key, input: InputValue<Settings[Key]>, name?: string): void {
    this.attempt(() => {
      const setting = settings[key] as AnySetting;
      const { type } = setting;
      const value = type.check(name ?? settersOf(key, setting)[0] ?? key, input);
      this.#values.set(key, type.join === undefined ? value : type.join(this.#values.get(key), value));
    });
  }

  /** Adds what a builder of its own has made, and the setting's check looks at again. */
  add<Key extends SettingKey>(key: Key, make: () => InputValue<Settings[Key]>): void {
    this.attempt(() => {
      const made = make();
      this.set(key, made);
    });
  }

  /** Adds to what was said of the network. */
  joinNetwork(make: () => AskedNetwork): void {
    this.attempt(() => this.#values.set("network", joinNetworks(this.#network, make())));
  }

  /** Sets what a builder of its own has made and checked. */
  put<Key extends SettingKey>(key: Key, make: () => SandboxConfig[Key]): void {
    this.attempt(() => this.#values.set(key, make()));
  }

  /** @throws InvalidConfigError for the first thing that was wrong */
  finish(): SandboxConfig {
    checkSandboxName(this.#name);
    // What a setter complained about is an error of this package, or of the caller's own function.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (this.#mistake !== null) throw this.#mistake;
    const image = this.#image;
    if (image === null) {
      // Some settings of later versions stand in the image's place.
      refuseSettings(this.unsupported);
      throw new InvalidConfigError(`the sandbox ${this.#name} has no image`, {
        hint: 'Set one: image("localhost/base"), or fromSnapshot(…).',
      });
    }
    if (image.kind !== "oci" && this.#values.get("rootDisk") !== null) {
      throw new InvalidConfigError(
        `the guest writes its ${image.kind} root itself: it has no root disk besides`,
        { hint: "Leave rootDisk out, or use an image." },
      );
    }
    // `SandboxConfig` is made from the table, and so is what is in the map.
    const values = {
      ...(Object.fromEntries(this.#values) as unknown as SandboxConfig),
      image,
      ...finishedNetwork(Object.fromEntries(this.#values) as unknown as NetworkValues),
    };
    checkSecretEnv(values.env, values.network?.secrets ?? []);
    checkEnvSize(guestEnv(values), values.rlimits);
    checkPatchable(values.image, values.patches, values.rootDisk);
    checkHostShutdown(values, filesOf(values.image, values.mounts));
    return deepFreeze({
      ...values,
      name: this.#name,
      imageDigest: null,
      snapshotDigest: null,
      forkedFrom: null,
      secrets: values.network?.secrets ?? [],
    });
  }
}
