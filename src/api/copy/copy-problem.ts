/** What did not arrive of a copy, or not as it was. */
export interface CopyProblem {
  /** Below what was copied; empty for itself. */
  readonly path: Uint8Array;
  /** For people, without the path. */
  readonly message: string;
}

export interface CopyProblems {
  /** Of many, the first ones. */
  readonly list: readonly CopyProblem[];
  readonly count: number;
}

/** Whoever sends a tree could tell of as many problems as he likes. */
const mostKept = 1000;

/** Takes problems as they come. */
export class ProblemList implements CopyProblems {
  readonly #kept: CopyProblem[] = [];
  #count = 0;

  get list(): readonly CopyProblem[] {
    return this.#kept;
  }

  get count(): number {
    return this.#count;
  }

  add(problem: CopyProblem): void {
    this.#count++;
    if (this.#kept.length < mostKept) this.#kept.push(problem);
  }

  /** Those of somebody else too. */
  addAll({ list, count }: CopyProblems): void {
    for (const problem of list) this.add(problem);
    this.#count += count - list.length;
  }
}
