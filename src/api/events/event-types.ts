import type { GuestPath } from "../fs/guest-path.ts";

/**
 * Who tells of an event. `guest`: a program in the sandbox. `lifecycle`: what becomes of the sandbox itself. `network`: what comes to pass
 * on its network. `files`: changes below a directory that is watched. `dropped`: some events before this one are missing.
 */
export const SandboxEventKinds = ["guest", "lifecycle", "network", "files", "dropped"] as const;
export type SandboxEventKind = (typeof SandboxEventKinds)[number];

/** Something that has come to pass. */
export interface EventData {
  /** Its name. Those of the host begin with their kind, which a program of the guest's cannot do: `lifecycle:paused`, `network:dns`, `files:created`. */
  readonly event: string;
  readonly kind: SandboxEventKind;
  /** When it came to the host. */
  readonly time: Date;
  /**
   * What is told with it, as JSON says it; left out where there is nothing. Of `dropped`: `{ count }`, how many are missing; null where nobody
   * knows.
   */
  readonly data?: unknown;
}

/** Which events. */
export interface EventOptions {
  /** Names, or beginnings of names with `*` after them. Left out: all. At most 256. */
  readonly names?: string | readonly string[] | undefined;
  /** Files and directories of the guest (not below them): what happens there comes as `files:created`, `files:modified` and so on. At most 16. */
  readonly watch?: GuestPath | readonly GuestPath[] | undefined;
}

export const eventOptions = { names: "any", watch: "any" } as const;

/** What became of an event that was told to programs in the guest. */
export interface EmitResult {
  /** How many programs listen for it. */
  readonly listeners: number;
  /** How many of these do not get it, because they have left so much unread; they are told that they missed something. */
  readonly missed: number;
}
