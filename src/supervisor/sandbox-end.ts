import type { EndedMessage } from "../protocol/generated/messages.ts";
import type { TerminationReason } from "../store/state.ts";
import type { Ending } from "./logs/exit-reason.ts";

/** Why a sandbox is about to end, how it has ended, and who waits for that. */
export class SandboxEnd {
  /** The first one counts. */
  #endings: readonly Ending[] = [];
  #ended: EndedMessage | null = null;
  readonly #watchers = new Set<(ended: EndedMessage) => void>();

  /** Once that is decided. */
  get ending(): Ending | null {
    return this.#endings[0] ?? null;
  }

  /** It is about to end. The first reason counts. @returns takes it back: then the next one counts, if there is any */
  decide(reason: TerminationReason, detail: string, crashed: boolean): () => void {
    const ending = { reason, detail, crashed };
    this.#endings = [...this.#endings, ending];
    return () => {
      this.#endings = this.#endings.filter((one) => one !== ending);
    };
  }

  /** Calls back once, when the sandbox has ended, or soon when it has already. @returns stops that */
  watch(callback: (ended: EndedMessage) => void): () => void {
    this.#watchers.add(callback);
    queueMicrotask(() => {
      this.#tell();
    });
    return () => this.#watchers.delete(callback);
  }

  /** It has ended, and everything about it is on disk. */
  reached(ended: EndedMessage): void {
    this.#ended = ended;
    this.#tell();
  }

  #tell(): void {
    if (this.#ended === null) return;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const callback of watchers) callback(this.#ended);
  }
}
