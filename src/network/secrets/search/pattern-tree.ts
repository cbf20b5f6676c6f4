/** A place in all patterns that begin with the same bytes. */
export class PatternNode {
  readonly next = new Map<number, PatternNode>();
  /** Index of the pattern that ends here; -1: none. */
  pattern = -1;
}

/** @param patterns none empty, each once */
export function patternTree(patterns: readonly Buffer[]): PatternNode {
  const root = new PatternNode();
  for (const [index, bytes] of patterns.entries()) {
    let node = root;
    for (const byte of bytes) {
      let next = node.next.get(byte);
      if (next === undefined) node.next.set(byte, (next = new PatternNode()));
      node = next;
    }
    node.pattern = index;
  }
  return root;
}
