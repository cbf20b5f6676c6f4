/** One row of `msb doctor`. */
export interface Finding {
  readonly name: string;
  readonly status: "ok" | "warning" | "problem" | "info";
  readonly detail: string;
  /** What to do; empty unless status is warning or problem. */
  readonly fix: string;
}
