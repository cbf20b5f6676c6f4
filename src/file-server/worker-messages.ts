import type { ServedPath } from "./options.ts";

/** What the server's thread is given. */
export interface WorkerTask {
  /** A connected socket, which is the thread's from now on. */
  readonly fd: number;
  readonly paths: readonly ServedPath[];
}

/** What the server's thread says: why nothing is served any more, or with a path why that one is not. */
export interface WorkerMessage {
  readonly path: string | null;
  readonly reason: string;
}
