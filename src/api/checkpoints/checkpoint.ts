import type { GuestFlush } from "../../config/enums.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import type { SecretsInput } from "../providers/given-secrets.ts";
import type { HooksInput } from "../providers/run-hooks.ts";
import type { CheckpointRecord } from "../../store/checkpoints/checkpoints.ts";

/** A moment of a sandbox's that it can go back to: its memory and its disk. It does not change. */
export interface Checkpoint {
  /** The name that it was given, or one that was made for it: unique among those of its sandbox. */
  readonly id: string;
  readonly createdAt: Date;
  /** What its memory takes on the host's disk. */
  readonly memoryBytes: number;
  /** What its disk takes there. File systems that share blocks between files count those in each. */
  readonly diskBytes: number;
}

/** What making one takes. */
export interface CheckpointOptions {
  /** `required`: what the guest has written and its disks do not have yet is written first. `auto`, the default, and `skip` leave it in its memory, which is kept. */
  readonly guestFlush?: GuestFlush | undefined;
}

/** What going back takes. */
export interface RollbackOptions {
  /** For a sandbox that does not run, as of its start: one that runs has its own. */
  readonly secrets?: SecretsInput | undefined;
  /** The same. */
  readonly hooks?: HooksInput | undefined;
}

/** Its keys. */
export const rollbackOptions = { secrets: "any", hooks: "any" } as const satisfies OtherOptions;

/** Its keys. */
export const checkpointOptions = { guestFlush: "any" } as const satisfies OtherOptions;

export function checkpointOf({ id, createdAt, memoryBytes, diskBytes }: CheckpointRecord): Checkpoint {
  return Object.freeze({ id, createdAt: new Date(createdAt), memoryBytes, diskBytes });
}
