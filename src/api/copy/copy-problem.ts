/** What did not arrive of a copy, or not as it was. */
export interface CopyProblem {
  /** Below what was copied; empty for itself. */
  readonly path: Uint8Array;
  /** For people, without the path. */
  readonly message: string;
}
