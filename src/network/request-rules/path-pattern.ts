/**
 * Whether a path is one that a pattern means: `*` is any run of characters but `/`, `**` any run at all. In time that grows with the product
 * of their lengths, whatever a guest sends.
 */
export function matchesPath(pattern: string, path: string): boolean {
  const literal = /^[^*]*/.exec(pattern)?.[0] ?? "";
  // Most rules are about another path than most requests.
  if (!path.startsWith(literal)) return false;
  const tokens = pattern.match(/\*\*|\*|[^*]+/g) ?? [];
  // Where in the path the tokens up to here may have ended.
  let ends = new Uint8Array(path.length + 1);
  ends[0] = 1;
  for (const token of tokens) {
    const next = new Uint8Array(path.length + 1);
    if (token === "*" || token === "**") {
      let isReached = false;
      for (let at = 0; at <= path.length; at++) {
        if (at > 0 && token === "*" && path[at - 1] === "/") isReached = false;
        if (ends[at] === 1) isReached = true;
        if (isReached) next[at] = 1;
      }
    } else {
      for (let at = path.indexOf(token); at !== -1; at = path.indexOf(token, at + 1))
        if (ends[at] === 1) next[at + token.length] = 1;
    }
    ends = next;
  }
  return ends[path.length] === 1;
}
