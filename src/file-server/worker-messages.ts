import type { ServedPath } from "./options.ts";

/** What the server's thread is given. */
export interface WorkerTask {
  /** A connected socket, which is the thread's from now on. */
  readonly fd: number;
  readonly paths: readonly ServedPath[];
}

/** What the server's thread says. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  /** A path could not be opened. */
  | { readonly kind: "failed"; readonly code: string; readonly message: string }
  /** The guest has sent what no relay sends: its mounts are over. */
  | { readonly kind: "broken"; readonly reason: string };
