import type { HostPattern } from "./host-pattern.ts";

/** What is done when a placeholder goes where its secret may not. */
export type ViolationAction =
  | { readonly kind: "block" | "block-and-log" | "block-and-terminate" }
  /** These get the placeholder as it is. */
  | { readonly kind: "passthrough"; readonly hosts: readonly HostPattern[] };

/** Where a secret's value is. It is never in a sandbox's configuration. */
export type SecretSource =
  /** In a file of the sandbox's directory that only its owner can read. */
  | { readonly kind: "stored" }
  /** A variable of the environment of whoever starts the sandbox. */
  | { readonly kind: "env"; readonly var: string }
  /** A file of the host, without the newline at its end. Read when it is used, so that it can be replaced. */
  | { readonly kind: "file"; readonly path: string }
  /** A function of the program that the sandbox belongs to. */
  | { readonly kind: "provider" };

/** Makes the two that are written by hand. */
export const SecretSource = {
  /** A variable of the environment of whoever starts the sandbox. */
  env(name: string): SecretSource {
    return { kind: "env", var: name };
  },

  /** A file of this host, without the newline at its end; it is read when the value is needed. */
  file(path: string): SecretSource {
    return { kind: "file", path };
  },
};

/** Where in a request a placeholder is replaced. */
export interface SecretInjection {
  /** In every header field, or only in those that are named, in lower case. */
  readonly headers: boolean | readonly string[];
  readonly basicAuth: boolean;
  readonly queryParams: boolean;
  readonly body: boolean;
}

/** Of a placeholder. */
export const mostPlaceholderBytes = 1024;

/** A secret: the guest has `placeholder` in `envVar`, and the host puts the value in its place on the way to `hosts`. */
export interface SecretConfig {
  readonly envVar: string;
  /** 1 to {@link mostPlaceholderBytes} bytes. */
  readonly placeholder: string;
  /** At least one. */
  readonly hosts: readonly HostPattern[];
  readonly source: SecretSource;
  readonly injection: SecretInjection;
  /** false: HTTP without TLS gets it too, from a server that has proved nothing. */
  readonly requireTlsIdentity: boolean;
  /** null: as the sandbox's secrets have it. */
  readonly onViolation: ViolationAction | null;
  /** Responses of these hosts have the placeholder in the place of the value. */
  readonly scrubResponses: boolean;
}
