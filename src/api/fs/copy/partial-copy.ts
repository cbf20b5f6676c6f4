import { PartialCopyError, type CopyRefusal } from "../../../errors/index.ts";
import { pathText } from "../guest-path.ts";

/** So many are named in the message, and kept in the error. */
const mostShown = 3;
const mostKept = 1000;

/** What was not copied, with the reason. */
export class Refusals {
  readonly #kept: CopyRefusal[] = [];
  #count = 0;

  add(path: Uint8Array, message: string): void {
    this.#count++;
    if (this.#kept.length < mostKept)
      this.#kept.push({ path: pathText(path), pathBytes: Buffer.from(path), message });
  }

  /** Those that were counted elsewhere and are not named. */
  addUnnamed(count: number): void {
    this.#count += count;
  }

  /** @param what was copied, as in `copy /work` @throws PartialCopyError when something was refused */
  throwIfAny(what: string): void {
    if (this.#count === 0) return;
    const shown = this.#kept.slice(0, mostShown).map(({ path, message }) => `${path} (${message})`);
    const rest = this.#count - shown.length;
    throw new PartialCopyError(
      `${what}: not copied as it is: ${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`,
      { refusedCount: this.#count, refused: this.#kept },
      { hint: "Everything else was copied. The error's refused has the paths and the reasons." },
    );
  }
}
