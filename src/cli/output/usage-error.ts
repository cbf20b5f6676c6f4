/** The command line is wrong. Reported on stderr; `msb` exits with 2. */
export class UsageError extends Error {
  readonly hint: string;

  constructor(message: string, hint = "") {
    super(message);
    this.hint = hint;
  }

  override get name(): string {
    return "UsageError";
  }
}
