import { checkContent } from "../../config/guest-text.ts";

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
  /** These bytes (a string as UTF-8), then the end. @throws InvalidConfigError for what is neither */
  bytes(data: Uint8Array | string): StdinMode {
    if (data instanceof Uint8Array) return { kind: "bytes", data };
    return { kind: "bytes", data: Buffer.from(checkContent("standard input", data)) };
  },
} as const;
