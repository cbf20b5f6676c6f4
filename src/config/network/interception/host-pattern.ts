/**
 * Whom something is meant for: a name, `api.example.com`; a suffix, `*.example.com`, which is that name and all below it; or `*`,
 * everybody. In lower case and without a dot at the end.
 */
export type HostPattern = string;

/** Everybody. */
export const anyHost: HostPattern = "*";

/** @param name in lower case, without a dot at the end */
export function matchesHost(pattern: HostPattern, name: string): boolean {
  if (pattern === anyHost) return true;
  if (!pattern.startsWith("*.")) return name === pattern;
  return name === pattern.slice(2) || name.endsWith(pattern.slice(1));
}

/**
 * The one that says most of a name among those that match: an exact one before a suffix, a longer suffix before a shorter one.
 *
 * @returns undefined when none does
 */
export function mostSpecific<T extends { readonly pattern: HostPattern }>(
  entries: readonly T[],
  name: string,
): T | undefined {
  const rank = ({ pattern }: T): number =>
    pattern.startsWith("*") ? pattern.length : Number.MAX_SAFE_INTEGER;
  let best: T | undefined;
  for (const entry of entries)
    if (matchesHost(entry.pattern, name) && (best === undefined || rank(entry) > rank(best))) best = entry;
  return best;
}
