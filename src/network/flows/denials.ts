import type { FlowDenied } from "../events.ts";

/** The like of a denial that was told are held back for so long, and then told as one. */
const quietMs = 10_000;
/**
 * Different ones that are told and remembered in one quiet time: a scan of ports makes a new one with every packet. What is more is told
 * in sums by direction, protocol and reason.
 */
const maxTold = 256;

interface Kind {
  event: FlowDenied;
  /** Since the last one that was told. */
  held: number;
}

/** Tells denials, so that a guest that floods fills neither memory nor a log, and nothing is left out of the sum. */
export class Denials {
  readonly #emit: (event: FlowDenied) => void;
  readonly #kinds = new Map<string, Kind>();
  #told = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(emit: (event: FlowDenied) => void) {
    this.#emit = emit;
  }

  add(event: FlowDenied): void {
    this.#timer ??= setTimeout(() => this.flush(), quietMs).unref();
    const own = keyOf(event, true);
    const isNew = !this.#kinds.has(own);
    // Those beyond the bounds are one kind, with the last of them for an example.
    const key = isNew && this.#told >= maxTold ? keyOf(event, false) : own;
    const kind = this.#kinds.get(key);
    if (kind !== undefined) {
      kind.held++;
      kind.event = event;
      return;
    }
    this.#kinds.set(key, { event, held: key === own ? 0 : 1 });
    if (key !== own) return;
    this.#told++;
    this.#emit(event);
  }

  /** Tells what is held back. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#told = 0;
    const kinds = [...this.#kinds.values()];
    this.#kinds.clear();
    for (const { event, held } of kinds) if (held > 0) this.#emit({ ...event, count: held });
  }
}

function keyOf(event: FlowDenied, isOwn: boolean): string {
  const common = `${event.direction} ${event.protocol} ${event.reason}`;
  return isOwn ? `${common} ${event.address} ${event.port ?? ""}` : common;
}
