import type { FileProvider, ProviderFailure } from "../../provider/file-provider.ts";

/** How what a program provides is mounted. */
export interface ProviderOptions {
  /** How long one request of the guest's may take, ms: then it is `ETIMEDOUT`. 100 to 3,600,000, by default 30,000. */
  readonly timeoutMs?: number | null;
  /** How long the guest believes what it was told of names and attributes, ms: 0 to 3,600,000, by default 1,000. */
  readonly cacheMs?: number | null;
  /**
   * Is told what the guest's program gets as `EIO` or `ETIMEDOUT`: what the provider has thrown that has no name of a system error,
   * answers that cannot be, and that it took too long. Without it the first one of each mount is a process warning.
   */
  readonly onError?: ((error: Error, failure: ProviderFailure) => void) | null;
}

/** A provider on its way from a setting to the mount. It is in no record, and nothing of it is frozen with the setting. */
export class GivenProvider {
  readonly #files: FileProvider;
  readonly #onError: ProviderOptions["onError"];

  constructor(files: FileProvider, onError: ProviderOptions["onError"] = null) {
    this.#files = files;
    this.#onError = onError;
  }

  get files(): FileProvider {
    return this.#files;
  }

  get onError(): ((error: Error, failure: ProviderFailure) => void) | null {
    return this.#onError ?? null;
  }

  /** A function cannot be stored. */
  toJSON(): undefined {
    return undefined;
  }
}
