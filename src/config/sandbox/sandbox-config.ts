import type { ConfigOf } from "../settings/setting.ts";
import type { Settings } from "../settings/table.ts";

/** A sandbox as it was asked for. Frozen. `null`: not set. Sizes in MiB, times in the unit of the name. */
export interface SandboxConfig extends ConfigOf<Settings> {
  readonly name: string;
  /** Of the image's manifest, which the sandbox keeps whatever the reference means later; null for what is no image. */
  readonly imageDigest: string | null;
  /** `ports` over TCP, as pairs of the host's and the guest's port. */
  readonly portsTcp: PortPairs;
  /** The same over UDP. */
  readonly portsUdp: PortPairs;
  /** Always empty: a later version brings them. */
  readonly secrets: readonly never[];
}

type PortPairs = readonly (readonly [host: number, guest: number])[];

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
