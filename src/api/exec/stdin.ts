/** Where a command's standard input comes from. */
export type StdinMode =
  | { readonly kind: "null" }
  | { readonly kind: "pipe" }
  | { readonly kind: "bytes"; readonly data: Uint8Array };

/**
 * The ways of giving a command its standard input.
 *
 * @example
 * ```ts
 * import { Stdin } from "microsandbox";
 *
 * console.log(Stdin.bytes("two\nlines\n").kind); // "bytes"
 * ```
 */
export const Stdin = {
  /** /dev/null, the default. */
  null(): StdinMode {
    return { kind: "null" };
  },
  /** A pipe to write to: {@link ExecHandle.takeStdin}. */
  pipe(): StdinMode {
    return { kind: "pipe" };
  },
  /** These bytes (a string as UTF-8), then the end. */
  bytes(data: Uint8Array | string): StdinMode {
    return { kind: "bytes", data: typeof data === "string" ? Buffer.from(data) : data };
  },
} as const;
