import { readFile, stat } from "node:fs/promises";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import { valueInFile } from "../../../config/network/interception/builders/secret-value.ts";
import { InvalidConfigError } from "../../../errors/index.ts";
import { errorCode } from "../../../host/system-error.ts";
import type { SecretValues } from "../../../network/secrets/secret-values.ts";
import { readSecretFile } from "../../../store/secret-file.ts";
import { FetchedValues } from "./fetched-values.ts";
import { fetchSecret, givenSecrets, type AskProgram } from "./program-secrets.ts";

export interface SupervisedSecretsOptions {
  readonly secrets: readonly SecretConfig[];
  /** Where the stored values are. */
  readonly path: string;
  readonly ask: AskProgram;
  /** Something for the runtime log, at most once a minute for each secret. */
  readonly warn: (message: string) => void;
}

const warnEveryMs = 60_000;
/** Bytes: a value has 65,536 at most, and a line end. */
const longestFile = 65_538;

/** The values of a running sandbox's secrets. They are in this process, and in the places that their sources say. */
export class SupervisedSecrets {
  readonly #options: SupervisedSecretsOptions;
  /** Those that are known, and do not change by themselves. */
  #fixed: ReadonlyMap<string, string>;
  readonly #fetched: FetchedValues;
  readonly #warned = new Map<string, number>();

  private constructor(options: SupervisedSecretsOptions, fixed: ReadonlyMap<string, string>) {
    this.#options = options;
    this.#fixed = fixed;
    this.#fetched = new FetchedValues({
      fetch: (envVar, host, signal) => fetchSecret(options.ask, envVar, host, signal),
      failed: (envVar, error) => {
        this.#failed(envVar, error instanceof Error ? error.message : "its function failed");
      },
    });
  }

  /**
   * Finds the values that have to be there when a sandbox starts.
   *
   * @throws InvalidConfigError for one that nobody has given; IoError, JsonError
   */
  static async load(options: SupervisedSecretsOptions, signal: AbortSignal): Promise<SupervisedSecrets> {
    const { secrets, path, ask } = options;
    const fixed = new Map<string, string>();
    const stored = secrets.some(({ source }) => source.kind === "stored") ? await readSecretFile(path) : null;
    for (const { envVar, source } of secrets) {
      const value = source.kind === "stored" ? stored?.get(envVar) : undefined;
      if (value !== undefined) fixed.set(envVar, value);
    }
    const asked = secrets.filter(({ envVar, source }) => source.kind !== "file" && !fixed.has(envVar));
    const names = asked.map(({ envVar }) => envVar);
    const given = names.length === 0 ? new Map<string, null>() : await givenSecrets(ask, names, signal);
    for (const { envVar, source } of asked) {
      const value = given.get(envVar);
      if (typeof value === "string") fixed.set(envVar, value);
      else if (value === undefined || source.kind !== "provider") throw notGiven(envVar);
    }
    return new SupervisedSecrets(options, fixed);
  }

  /** As they are now: what is changed later is seen by those that are asked for then. */
  values(secrets: readonly SecretConfig[]): SecretValues {
    const fixed = this.#fixed;
    const sources = new Map(secrets.map(({ envVar, source }) => [envVar, source]));
    return {
      value: (envVar, host) => {
        const source = sources.get(envVar);
        const known = fixed.get(envVar);
        if (source === undefined || known !== undefined) return known ?? null;
        if (source.kind === "file") return this.#fromFile(envVar, source.path);
        return source.kind === "provider" ? this.#fetched.value(envVar, host) : null;
      },
      refused: (envVar, host) => {
        if (!fixed.has(envVar)) this.#fetched.refused(envVar, host);
      },
    };
  }

  /** For connections that are made from now on. null: there is none any more. */
  change(changes: ReadonlyMap<string, string | null>): void {
    const fixed = new Map(this.#fixed);
    for (const [envVar, value] of changes) {
      if (value === null) fixed.delete(envVar);
      else fixed.set(envVar, value);
    }
    this.#fixed = fixed;
  }

  async #fromFile(envVar: string, path: string): Promise<string | null> {
    try {
      const { size, isFile } = await lookAt(path);
      // What is no file may have no end.
      if (!isFile || size > longestFile) throw new Error("it is no file of a value");
      const value = valueInFile(await readFile(path));
      if (value === null) throw new Error("it is no UTF-8 text");
      return value;
    } catch (error) {
      const why = errorCode(error) ?? (error instanceof Error ? error.message : "");
      this.#failed(envVar, `${path} cannot be read: ${why}`);
      return null;
    }
  }

  #failed(envVar: string, reason: string): void {
    const now = performance.now();
    const last = this.#warned.get(envVar);
    if (last !== undefined && now - last < warnEveryMs) return;
    this.#warned.set(envVar, now);
    this.#options.warn(`the secret ${envVar} has no value, so requests that need it are refused: ${reason}`);
  }
}

async function lookAt(path: string): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const found = await stat(path);
  return { size: found.size, isFile: found.isFile() };
}

function notGiven(envVar: string): InvalidConfigError {
  return new InvalidConfigError(`the value of the secret ${envVar} is not there, and nobody has given it`, {
    hint: `Give it when the sandbox starts: start({ secrets: { ${envVar}: value } }), or msb start, which asks for it.`,
  });
}
