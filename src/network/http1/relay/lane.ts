import type { MaybePromise, Reading } from "../../http/inspector.ts";
import type { BodySink } from "./body-sinks.ts";
import type { RelayContext } from "./relay-context.ts";

/** One direction: it goes on step by step, and waits where somebody takes time to decide. */
export abstract class Lane {
  protected readonly relay: RelayContext;
  #isWaiting = false;
  #early: { act: (() => void) | null } | null = null;

  constructor(relay: RelayContext) {
    this.relay = relay;
  }

  protected get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Goes on as far as it can. */
  abstract pump(): void;

  /** Goes on with what somebody says, at once or when it is said; no other step is done before. */
  protected goOnWith<T>(said: MaybePromise<T>, act: (value: T) => void): void {
    if (!(said instanceof Promise)) {
      act(said);
      return;
    }
    this.#isWaiting = true;
    said
      .then((value) => {
        if (this.relay.isOver) return;
        this.#isWaiting = false;
        act(value);
        this.pump();
      })
      .catch((error: unknown) => this.relay.fail(error));
  }

  /** Somebody reads the body of the message before he decides about it. */
  protected get isReading(): boolean {
    return this.#early !== null;
  }

  /**
   * Lets somebody read the body before he decides.
   *
   * @param act done when he has decided, wherever in the body that is
   * @returns where the body goes until then; its end waits for the decision
   */
  protected readFirst<Verdict>(
    { taker, verdict }: Reading<Verdict>,
    act: (verdict: Verdict) => void,
  ): BodySink {
    const early: { act: (() => void) | null } = { act: null };
    this.#early = early;
    const decided = verdict.then((said) => {
      early.act = () => act(said);
    });
    decided.then(
      () => {
        if (!this.relay.isOver) this.pump();
      },
      (error: unknown) => this.relay.fail(error),
    );
    return {
      decodes: true,
      push: (bytes) => taker.push(bytes),
      end: async () => {
        await taker.end();
        await decided;
      },
    };
  }

  /** @returns whether somebody who was reading has decided: then it is done what he wants */
  protected decide(): boolean {
    const act = this.#early?.act ?? null;
    if (act === null || this.#isWaiting) return false;
    this.#early = null;
    act();
    return true;
  }

  /** Whatever goes wrong breaks off the connection, and nothing else. */
  protected guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.relay.fail(error);
    }
  }
}
