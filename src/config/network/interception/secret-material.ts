/** Who asks for a secret's value, and for what. */
export interface SecretRequest {
  /** The variable of the guest's environment that has the placeholder. */
  readonly envVar: string;
  /** Where it is about to be sent, in lower case. */
  readonly host: string;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/** A value that is not valid for ever. */
export interface ExpiringSecret {
  readonly value: string;
  /** Fetched anew from then on: a date, or ms since 1970. Without it, when a host answers 401. */
  readonly expiresAt?: Date | number | null;
}

/** Fetches a secret's value when it is needed. It may throw: what needs the secret is refused then. */
export type SecretProvider = (
  request: SecretRequest,
) => string | ExpiringSecret | Promise<string | ExpiringSecret>;

/**
 * What a program has given for a secret: its value, or a function that fetches it. It goes beside the configuration to whoever makes the
 * sandbox, and no log, message or JSON shows it.
 */
export class GivenSecret {
  readonly #given: string | SecretProvider;

  constructor(given: string | SecretProvider) {
    this.#given = given;
  }

  /** A getter would be shown by `inspect()` that is asked for getters. */
  reveal(): string | SecretProvider {
    return this.#given;
  }

  toJSON(): undefined {
    return undefined;
  }
}

/** What was given for the secrets of a sandbox, by the variable of the guest's environment; those with sources of their own are not in it. */
export type SecretMaterial = ReadonlyMap<string, GivenSecret>;
