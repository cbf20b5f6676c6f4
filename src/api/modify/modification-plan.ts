import type { SandboxStatus } from "../../config/enums.ts";

/** When a change is in force. `live`: at once, for connections that are made from then on. */
export type ModificationDisposition = "live" | "next start" | "requires restart" | "unsupported";

/** What may be done about a running sandbox that a change cannot reach. */
export type ModificationPolicy = "no_restart" | "next_start" | "restart";

/** What is to become of a secret; what is left out stays. At most one of `env`, `value` and `store`. */
export interface SecretModifySpec {
  /** The value is the one of this variable of this program's environment. */
  readonly env?: string;
  readonly value?: string;
  /** Not in this version. */
  readonly store?: string;
  readonly placeholder?: string;
  /** In the place of those that may have it now: names, or `*.example.com`. */
  readonly allowedHosts?: readonly string[];
}

/** What is to change on a sandbox. */
export interface ModifyOptions {
  /** By the variables of the guest's environment that have their placeholders. */
  readonly secrets?: Readonly<Record<string, SecretModifySpec>>;
  readonly secretsRemove?: readonly string[];
  /** By default `no_restart`: what cannot be done at once is refused. */
  readonly policy?: ModificationPolicy;
  /** Only plan. */
  readonly dryRun?: boolean;
}

/** What is to become of a secret. Its value is in no plan. */
export interface SecretPlannedChange {
  readonly kind: "secret";
  readonly field: "secret";
  readonly name: string;
  readonly change: "added" | "rotated" | "removed" | "hosts updated" | "placeholder updated";
  /** Where the value is: `stored`, `env:NAME`, `file:/path` or `provider`. */
  readonly beforeRef?: string;
  readonly afterRef?: string;
  readonly disposition: ModificationDisposition;
  /** Who may have it then. */
  readonly allowHosts: readonly string[];
  readonly reason?: string;
}

export interface ModificationRemark {
  readonly field: string;
  readonly message: string;
}

/** What a modification changes, and whether it was done. */
export interface SandboxModificationPlan {
  readonly sandbox: string;
  readonly status: SandboxStatus;
  readonly applied: boolean;
  readonly policy: ModificationPolicy;
  readonly changes: readonly SecretPlannedChange[];
  /** What contradicts itself: with any of them nothing is done. */
  readonly conflicts: readonly ModificationRemark[];
  readonly warnings: readonly ModificationRemark[];
  /** Of processors and memory, which this version does not change. */
  readonly resizeStatus: readonly never[];
}
