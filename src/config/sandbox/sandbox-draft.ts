import { InvalidConfigError } from "../../errors/index.ts";
import { refuseSettings } from "../keys/refuse-settings.ts";
import { finishedNetwork, type NetworkValues } from "../network/finished-network.ts";
import type { AskedNetwork } from "../network/network-settings.ts";
import type { PublishedPort } from "../network/network-type.ts";
import { isSamePort, portsBesides } from "../network/ports.ts";
import { checkPatchable } from "../patches/check-patchable.ts";
import { checkEnvSize } from "../env.ts";
import { checkSandboxName } from "../sandbox-name.ts";
import type { AnySetting, InputValue } from "../settings/setting.ts";
import { settersOf, settingEntries, settings, type SettingKey, type Settings } from "../settings/table.ts";
import { deepFreeze, type SandboxConfig } from "./sandbox-config.ts";

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
    const network = this.#values.get("network") as AskedNetwork | null;
    return [...this.#unsupported, ...(network?.unsupported ?? [])];
  }

  /** The ports that were said so far, with those that were said of the network. */
  get ports(): readonly PublishedPort[] {
    const ports = this.#values.get("ports") as readonly PublishedPort[];
    const network = this.#values.get("network") as AskedNetwork | null;
    return [...ports, ...portsBesides(ports, network?.ports ?? [], isSamePort)];
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
    const image = this.#values.get("image") as SandboxConfig["image"] | null;
    if (image === null) {
      // Some settings of later versions stand in the image's place.
      refuseSettings(this.unsupported);
      throw new InvalidConfigError(`the sandbox ${this.#name} has no image`, {
        hint: 'Set one: image("localhost/base").',
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
      ...finishedNetwork(Object.fromEntries(this.#values) as unknown as NetworkValues),
    };
    checkEnvSize(values.env, values.rlimits);
    checkPatchable(values.image, values.patches, values.rootDisk);
    return deepFreeze({ ...values, name: this.#name, imageDigest: null, secrets: [] });
  }
}
