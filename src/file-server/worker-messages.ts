import type { ServedMount } from "./options.ts";

/** What the server's thread is given. */
export interface WorkerTask {
  /** A connected socket, which is the thread's from now on. */
  readonly fd: number;
  readonly mounts: readonly ServedMount[];
}

/** A message of the guest's that somebody else answers. */
export interface ForwardedRequest {
  readonly mount: number;
  /** A whole FUSE message, of at least its header. */
  readonly message: Uint8Array<ArrayBuffer>;
}

/** What each takes beside its own bytes. */
const eachRequest = 512;

/** What a request counts for until it is taken. */
export function passedBytes({ length }: Uint8Array): number {
  return length + eachRequest;
}

/** What the server's thread says. */
export type WorkerMessage =
  /** Nothing is served any more, and why. */
  | { readonly kind: "over"; readonly reason: string }
  /** One path is not served, and why; the others are. */
  | { readonly kind: "unserved"; readonly path: string; readonly reason: string }
  | { readonly kind: "requests"; readonly requests: readonly ForwardedRequest[] }
  /** The guest has so many bytes of answers that others have given for this mount. */
  | { readonly kind: "written"; readonly mount: number; readonly bytes: number };

/** What the server's thread is told. */
export type WorkerOrder =
  /** So many bytes of requests are no longer the thread's to count. */
  | { readonly kind: "taken"; readonly bytes: number }
  /** To the guest, with the number of the mount before it. */
  | { readonly kind: "answer"; readonly mount: number; readonly message: Uint8Array<ArrayBuffer> };
