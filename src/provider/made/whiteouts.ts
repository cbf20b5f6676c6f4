/** The paths of which the lower side of a union is seen no more, with all that is below them. */
export class Whiteouts {
  readonly #paths = new Set<string>();

  /** Whether a path, or a directory that it is in, was taken away. */
  hides(path: string): boolean {
    if (this.#paths.size === 0) return false;
    for (let at = path; at !== "" && at !== "/"; at = at.slice(0, at.lastIndexOf("/")))
      if (this.#paths.has(at)) return true;
    return false;
  }

  add(path: string): void {
    this.#paths.add(path);
  }
}
