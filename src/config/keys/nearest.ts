/**
 * The known word that was probably meant; null when none is near. The same letters in another spelling (`memory_mib`,
 * `MemoryMiB`) come first, then a word that goes on where this one ends (`memory`), then the one with the fewest mistakes: at
 * most one for each three letters.
 */
export function nearest(word: string, known: readonly string[]): string | null {
  const plain = letters(word);
  const same = known.find((candidate) => letters(candidate) === plain);
  if (same !== undefined) return same;
  const longer = known.filter((candidate) => plain.length >= 4 && letters(candidate).startsWith(plain));
  if (longer.length === 1) return longer[0] ?? null;
  let best: string | null = null;
  let fewest = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of known) {
    const mistakes = distance(plain, letters(candidate));
    if (mistakes < fewest) [best, fewest] = [candidate, mistakes];
  }
  return best;
}

function letters(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

/**
 * How many letters were left out, added, mistaken or swapped with their neighbour: the optimal string alignment distance
 * (https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance#Optimal_string_alignment_distance).
 */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const mistaken = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + mistaken,
        swapped ? (beforeLast[j - 2] ?? 0) + 1 : Infinity,
      );
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
