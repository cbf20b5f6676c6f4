/** What was typed, as the shell's user sees it. */
export interface TypedWords {
  readonly words: readonly string[];
  readonly current: string;
  /** The beginning of `current` that the shell takes for words of their own, and does not want back. */
  readonly given: string;
}

/**
 * Puts together what bash takes apart: `=` and `:` are words of their own there (COMP_WORDBREAKS). `--format=j` arrives as
 * `--format`, `=`, `j`, and `demo:/etc` as `demo`, `:`, `/etc`.
 */
export function joinSplitWords(before: readonly string[], current: string): TypedWords {
  const words: string[] = [];
  let open = false;
  for (const word of before.filter((each) => each !== "=")) {
    if (word === ":" && words.length > 0) {
      words.push(`${words.pop() ?? ""}:`);
      open = true;
    } else if (open) {
      words.push(`${words.pop() ?? ""}${word}`);
      open = false;
    } else words.push(word);
  }
  const typed = current === "=" ? "" : current;
  if (open || (typed === ":" && words.length > 0)) {
    const given = `${words.pop() ?? ""}${open ? "" : ":"}`;
    const rest = open ? typed : "";
    return { words, current: given + rest, given };
  }
  return { words, current: typed, given: "" };
}
