import type { SecretEntry } from "../network/interception/secret-settings.ts";
import type { ConfigOf } from "../settings/setting.ts";
import type { Settings } from "../settings/table.ts";

/**
 * A sandbox as it was asked for. Frozen. `null`: not set. Sizes in MiB, times in the unit of the name. Of one that is to begin with a
 * snapshot the `image` has an empty reference: it is the snapshot's, which is read when the sandbox is created.
 */
export interface SandboxConfig extends ConfigOf<Settings> {
  readonly name: string;
  /** Of the image's manifest, which the sandbox keeps whatever the reference means later; null for what is no image. */
  readonly imageDigest: string | null;
  /** Of the snapshot whose disk it began with; null for none. */
  readonly snapshotDigest: string | null;
  /** The id of the sandbox that it is a fork of; null for none. */
  readonly forkedFrom: string | null;
  /** `ports` over TCP, as pairs of the host's and the guest's port. */
  readonly portsTcp: PortPairs;
  /** The same over UDP. */
  readonly portsUdp: PortPairs;
  /** Those of the network. Their values are nowhere in it. */
  readonly secrets: readonly SecretEntry[];
}

type PortPairs = readonly (readonly [host: number, guest: number])[];

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
