const hidden = "[redacted]";
/** Keys and names of variables whose values are nobody's business. */
const telling =
  /pass(word|wd|phrase)|secret|token|credential|authori[sz]ation|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key/i;

/**
 * The same without what is likely to be a secret, by what it is called: texts under such keys, in pairs whose first is such a name, and
 * in `NAME=VALUE`. What is below such a key but is no text is looked through, for its own keys tell more.
 */
export function redacted(value: unknown): unknown {
  if (typeof value === "string") return redactedText(value);
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    const [name, text] = items;
    const isPair = items.length === 2 && typeof name === "string" && typeof text === "string";
    return isPair && telling.test(name) ? [name, hidden] : items.map(redacted);
  }
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      typeof inner === "string" && inner !== "" && telling.test(key) ? hidden : redacted(inner),
    ]),
  );
}

function redactedText(text: string): string {
  const name = /^([A-Za-z_][A-Za-z0-9_]*)=./s.exec(text)?.[1];
  return name !== undefined && telling.test(name) ? `${name}=${hidden}` : text;
}

/** Values of secrets that came through this server: they are taken out of whatever it answers. */
export class KnownSecrets {
  readonly #values = new Set<string>();

  /** Shorter ones would be found in any text. */
  static readonly shortest = 6;

  add(value: string): void {
    if (value.length < KnownSecrets.shortest) return;
    this.#values.add(value);
    // As it is in JSON.
    this.#values.add(JSON.stringify(value).slice(1, -1));
  }

  scrub(text: string): string {
    let scrubbed = text;
    for (const value of this.#values) scrubbed = scrubbed.replaceAll(value, hidden);
    return scrubbed;
  }
}
