import { mostPlaceholderBytes, type SecretConfig } from "../../config/network/interception/secret-type.ts";
import { Patterns } from "./search/patterns.ts";

/** Secrets that have one placeholder. */
export interface Placeholder {
  readonly text: string;
  readonly secrets: readonly SecretConfig[];
}

/** What does not depend on a connection. */
export interface CompiledSecrets {
  /** Their indexes are those of {@link patterns}. */
  readonly placeholders: readonly Placeholder[];
  readonly patterns: Patterns;
  /** One whose placeholder cannot be looked for. Then nothing can be let out. */
  readonly unusable: SecretConfig | null;
}

const compiled = new WeakMap<readonly SecretConfig[], CompiledSecrets>();

/** Once for each list, which does not change. */
export function compileSecrets(secrets: readonly SecretConfig[]): CompiledSecrets {
  const known = compiled.get(secrets);
  if (known !== undefined) return known;
  const byText = Map.groupBy(secrets, ({ placeholder }) => placeholder);
  const texts = [...byText.keys()].map((text) => Buffer.from(text));
  const isUsable = ({ length }: Buffer): boolean => length > 0 && length <= mostPlaceholderBytes;
  const fresh: CompiledSecrets = {
    placeholders: Array.from(byText, ([text, users]) => ({ text, secrets: users })),
    patterns: new Patterns(texts.every(isUsable) ? texts : []),
    unusable: secrets.find(({ placeholder }) => !isUsable(Buffer.from(placeholder))) ?? null,
  };
  compiled.set(secrets, fresh);
  return fresh;
}
