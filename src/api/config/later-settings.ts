import { checkOneOf, checkWhole } from "../../config/checks.ts";
import { CpuPlacements, type CpuPlacement } from "../../config/enums.ts";
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
  vsock(hostSocketPath: string, port: number): this {
    return this.#vsockNotYet("vsock", hostSocketPath, port);
  }

  /** Not in this version. */
  vsockDgram(hostSocketPath: string, port: number): this {
    return this.#vsockNotYet("vsockDgram", hostSocketPath, port);
  }

  #vsockNotYet(setting: string, path: string, port: number): this {
    this.draft.notYet(setting, () => {
      checkString("the host's socket path", path);
      checkWhole("the vsock port", port, 1, 2 ** 32 - 2);
    });
    return this;
  }
}
