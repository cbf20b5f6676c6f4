import type { SandboxChange } from "../../../api/index.ts";

/** The changes that somebody was asked about: what the guest makes or changes while he thinks is not what he has said yes to. */
export class AskedChanges {
  readonly #states = new Map<string, string>();
  readonly #left = new Set<string>();

  /** Takes one that is asked about. */
  add(change: SandboxChange): void {
    this.#states.set(keyOf(change), stateOf(change));
  }

  /** Whether it is one of those, and is as it was then. */
  has(change: SandboxChange): boolean {
    const key = keyOf(change);
    const isAsAsked = this.#states.get(key) === stateOf(change);
    if (!isAsAsked) this.#left.add(key);
    return isAsAsked;
  }

  /** How many were found that are not. */
  get leftCount(): number {
    return this.#left.size;
  }
}

function keyOf({ pathBytes }: SandboxChange): string {
  return Buffer.from(pathBytes).toString("latin1");
}

function stateOf({ kind, type, size, mode }: SandboxChange): string {
  return `${kind} ${type} ${size} ${mode}`;
}
