import { checkOneOf, checkWhole } from "../../config/checks.ts";
import {
  CpuPlacements,
  DeploymentProfiles,
  type CpuPlacement,
  type DeploymentProfile,
} from "../../config/enums.ts";
import { checkString } from "../../config/guest-text.ts";
import type { SandboxDraft } from "../../config/sandbox/sandbox-draft.ts";
import type { Mebibytes } from "../../config/sizes.ts";

/**
 * The settings that a later version brings. Their arguments are checked as far as they can be; `create()` then fails with
 * UnsupportedOperationError and the setter's name.
 */
export class LaterSettings {
  protected readonly draft: SandboxDraft;

  protected constructor(draft: SandboxDraft) {
    this.draft = draft;
  }

  /** Not in this version. */
  fromSnapshot(pathOrName: string): this {
    this.draft.notYet("fromSnapshot", () => checkString("fromSnapshot", pathOrName));
    return this;
  }

  /** Not in this version. */
  maxCpus(count: number): this {
    this.draft.notYet("maxCpus", () => checkWhole("maxCpus", count, 1, 255));
    return this;
  }

  /** Not in this version. */
  maxMemory(mib: number | Mebibytes): this {
    this.draft.notYet("maxMemory", () => checkWhole("maxMemory", mib, 1, Number.MAX_SAFE_INTEGER));
    return this;
  }

  /** Not in this version, except `inherit`, the default. */
  cpuPlacement(placement: CpuPlacement): this {
    const check = (): unknown => checkOneOf("cpuPlacement", placement, CpuPlacements);
    if (placement === "inherit") this.draft.attempt(check);
    else this.draft.notYet("cpuPlacement", check);
    return this;
  }

  /** Not in this version. */
  placementProfile(name: string): this {
    this.draft.notYet("placementProfile", () => checkString("placementProfile", name));
    return this;
  }

  /** Not in this version, except `default`. */
  security(profile: string): this {
    const check = (): unknown => checkOneOf("security", profile, ["default", "restricted"]);
    if (profile === "default") this.draft.attempt(check);
    else this.draft.notYet("security", check);
    return this;
  }

  /** Not in this version, except `single-tenant`, the default. */
  deploymentProfile(profile: DeploymentProfile): this {
    const check = (): unknown => checkOneOf("deploymentProfile", profile, DeploymentProfiles);
    if (profile === "single-tenant") this.draft.attempt(check);
    else this.draft.notYet("deploymentProfile", check);
    return this;
  }

  /** Not in this version. */
  init(command: string, _args?: Iterable<string>): this {
    this.draft.notYet("init", () => checkString("init", command));
    return this;
  }

  /** Not in this version. */
  initWith(command: string, _configure: (init: never) => unknown): this {
    this.draft.notYet("initWith", () => checkString("initWith", command));
    return this;
  }

  /** Not in this version. */
  port(host: number, guest: number): this {
    return this.#portNotYet("port", host, guest);
  }

  /** Not in this version. */
  portUdp(host: number, guest: number): this {
    return this.#portNotYet("portUdp", host, guest);
  }

  /** Not in this version. */
  portBind(bind: string, host: number, guest: number): this {
    this.draft.attempt(() => checkString("the bind address", bind));
    return this.#portNotYet("portBind", host, guest);
  }

  /** Not in this version. */
  portUdpBind(bind: string, host: number, guest: number): this {
    this.draft.attempt(() => checkString("the bind address", bind));
    return this.#portNotYet("portUdpBind", host, guest);
  }

  /** Not in this version. */
  vsock(hostSocketPath: string, port: number): this {
    return this.#vsockNotYet("vsock", hostSocketPath, port);
  }

  /** Not in this version. */
  vsockDgram(hostSocketPath: string, port: number): this {
    return this.#vsockNotYet("vsockDgram", hostSocketPath, port);
  }

  /** Not in this version: the guest has no network interface. */
  network(_configure: (network: never) => unknown): this {
    this.draft.notYet("network");
    return this;
  }

  /** Not in this version. */
  secret(_configure: (secret: never) => unknown): this {
    this.draft.notYet("secret");
    return this;
  }

  /** Not in this version. */
  secretEnv(envVar: string, _value: string, allowedHost: string): this {
    this.draft.notYet("secretEnv", () => {
      checkString("the secret's environment variable", envVar);
      checkString("the secret's host", allowedHost);
    });
    return this;
  }

  /** Not in this version. */
  proxy(_configure: (proxy: never) => unknown): this {
    this.draft.notYet("proxy");
    return this;
  }

  #portNotYet(setting: string, host: number, guest: number): this {
    this.draft.notYet(setting, () => {
      checkWhole("the host port", host, 1, 65_535);
      checkWhole("the guest port", guest, 1, 65_535);
    });
    return this;
  }

  #vsockNotYet(setting: string, path: string, port: number): this {
    this.draft.notYet(setting, () => {
      checkString("the host's socket path", path);
      checkWhole("the vsock port", port, 1, 2 ** 32 - 2);
    });
    return this;
  }
}
