import { InvalidConfigError } from "../../errors/index.ts";
import type { LayerChange } from "../../overlay/layer-walk.ts";
import type { TreeKind } from "../../host/tree/tree.ts";
import { isTextPath, pathText } from "../fs/guest-path.ts";

/** Something that the guest has added, changed or deleted in a directory of the host's that is mounted with `overlay()`. */
export interface SandboxChange {
  /** Below what was asked about; empty for itself. */
  readonly path: string;
  /** The path as it is: in `path`, bytes that are no UTF-8 are U+FFFD. */
  readonly pathBytes: Uint8Array;
  /** Whether `path` says all of it. */
  readonly isUtf8: boolean;
  readonly kind: "added" | "changed" | "deleted";
  /** What it is in the guest; of something deleted, what it is on the host. `other`: a device, a pipe or a socket. */
  readonly type: TreeKind;
  /** Of a file, bytes. */
  readonly size: number;
  /** Permissions, nine bits. */
  readonly mode: number;
  /** The host's has changed since, so that it would not be overwritten: `applyChanges()` refuses it. */
  readonly conflicts: boolean;
}

/** Which changes are meant; both must hold. By default all. */
export interface ChangeSelection {
  /** Below what was asked about: these, and what is in them. */
  readonly paths?: readonly (string | Uint8Array)[] | undefined;
  readonly filter?: ((change: SandboxChange) => boolean) | undefined;
}

export const selectionOptions = { paths: "any", filter: "function" } as const;

/** A path of the mount as a caller has it whose paths begin at `below`; null for what lies outside of it. */
export function pathBelow(path: string, below: string): string | null {
  if (below === "") return path;
  return path === below || path.startsWith(`${below}/`) ? path.slice(below.length + 1) : null;
}

/** @param below where the caller's paths begin. @returns null for what lies outside of it */
export function changeFrom(change: LayerChange, below: string): SandboxChange | null {
  const { kind, type, size, mode, conflicts } = change;
  const path = pathBelow(change.path, below);
  if (path === null) return null;
  const pathBytes = Buffer.from(path, "latin1");
  const isUtf8 = isTextPath(pathBytes);
  return { path: pathText(pathBytes), pathBytes, isUtf8, kind, type, size, mode, conflicts };
}

/** Finds the changes that a caller means, and what of his paths is none. */
export class Selection {
  readonly #below: string;
  readonly #paths: ReadonlySet<string> | null;
  readonly #filter: ((change: SandboxChange) => boolean) | null;
  readonly #unmatched: Set<string>;

  /** @throws InvalidConfigError for what is no path in a directory */
  constructor(below: string, { paths, filter }: ChangeSelection) {
    this.#below = below;
    this.#filter = filter ?? null;
    this.#paths = paths === undefined ? null : new Set(checkPaths(paths));
    this.#unmatched = new Set(this.#paths);
  }

  chooses(change: LayerChange): boolean {
    const seen = changeFrom(change, this.#below);
    if (seen === null) return false;
    if (this.#paths !== null && !this.#isNamed(Buffer.from(seen.pathBytes).toString("latin1"))) return false;
    return this.#filter === null || this.#filter(seen);
  }

  /** @throws InvalidConfigError for a path at which no change was found */
  requireMatched(): void {
    const [path] = this.#unmatched;
    if (path === undefined) return;
    throw new InvalidConfigError(
      `there is no change at ${JSON.stringify(pathText(Buffer.from(path, "latin1")))}`,
      {
        hint: "changes() has all paths. What lies in a directory that was deleted is no change of its own.",
      },
    );
  }

  #isNamed(path: string): boolean {
    let isNamed = false;
    for (let end = path.length; end >= 0; end = path.lastIndexOf("/", end - 1)) {
      const above = path.slice(0, end);
      if (this.#paths?.has(above) === true) {
        this.#unmatched.delete(above);
        isNamed = true;
      }
      if (end === 0) break;
    }
    return isNamed;
  }
}

function checkPaths(paths: unknown): string[] {
  const hint = "Give paths as changes() has them, such as src/main.ts.";
  if (!Array.isArray(paths)) throw new InvalidConfigError("paths is no list", { hint });
  return paths.map((path: unknown) => {
    const bytes = typeof path === "string" ? Buffer.from(path) : path;
    if (!(bytes instanceof Uint8Array))
      throw new InvalidConfigError("one of the paths is neither text nor bytes", { hint });
    const text = Buffer.from(bytes).toString("latin1").replace(/\/+$/, "");
    const isPath = text !== "" && text.split("/").every((name) => !["", ".", ".."].includes(name));
    if (isPath && !text.includes("\0")) return text;
    throw new InvalidConfigError(`${JSON.stringify(pathText(bytes))} is no path in the directory`, { hint });
  });
}
