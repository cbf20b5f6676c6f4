import { unlessAborted } from "../../../host/unless-aborted.ts";
import { AnswerCache } from "./answer-cache.ts";
import { readAnswer, type Answer } from "../message/answer.ts";
import type { Query } from "../message/query.ts";
import { Failover } from "./failover.ts";
import { questionMessage } from "./question-message.ts";
import { serverKey, type Server } from "./server.ts";

interface UnderWay {
  readonly result: Promise<Answer>;
  readonly over: AbortController;
  /** Send the question again. */
  readonly again: Set<() => void>;
  waiting: number;
}

export interface Asked {
  readonly query: Query;
  readonly transport: "udp" | "tcp";
  readonly servers: readonly Server[];
  /** Asked before anything leaves, not when the answer is known or under way. */
  readonly mayLeave: () => boolean;
}

/** Asks servers, and the same thing only once at a time. */
export class Upstreams {
  readonly #timeoutMs: number;
  readonly #cache = new AnswerCache();
  readonly #failover = new Failover();
  readonly #underWay = new Map<string, UnderWay>();

  /** @param timeoutMs of one attempt at one server */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @returns an answer of the caller's own, with the question to the letter as he wrote it; null when it may not leave
   * @throws NoAnswer when no server answered; what the signal says
   */
  async ask({ query, transport, servers, mayLeave }: Asked, signal: AbortSignal): Promise<Answer | null> {
    const upon = servers.map(serverKey).join(",");
    const how = [query.type, query.isRecursionDesired, query.isCheckingDisabled, query.isAuthenticDataWanted];
    const what = [upon, ...how, query.edns?.isDnssecOk, query.name.key].join(" ");
    const known = this.#cache.get(what, query.question);
    if (known !== null) return known;
    // Those who wrote it in another case get their own answer: the case is part of what they check it by.
    const key = [transport, query.edns?.udpSize, what, query.question.toString("latin1")].join(" ");
    let work = this.#underWay.get(key);
    if (work === undefined) {
      if (!mayLeave()) return null;
      work = this.#begin(key, what, { query, transport, servers });
    } else for (const send of work.again) send();
    work.waiting++;
    try {
      const answer = await unlessAborted(work.result, signal);
      return { ...answer, message: Buffer.from(answer.message) };
    } finally {
      if (--work.waiting === 0) {
        work.over.abort();
        if (this.#underWay.get(key) === work) this.#underWay.delete(key);
      }
    }
  }

  /** Gives up what is under way. */
  close(): void {
    for (const { over } of this.#underWay.values()) over.abort();
  }

  #begin(key: string, what: string, { query, transport, servers }: Omit<Asked, "mayLeave">): UnderWay {
    const id = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
    const over = new AbortController();
    const again = new Set<() => void>();
    const asked = this.#failover.ask(servers, transport, {
      message: questionMessage(query, id),
      read: (message) => readAnswer(message, id, query.question),
      timeoutMs: this.#timeoutMs,
      signal: over.signal,
      again,
    });
    const result = asked.then((answer) => {
      this.#cache.put(what, answer);
      return answer;
    });
    // Whoever waited may have gone.
    result.catch(() => null);
    const work = { result, over, again, waiting: 0 };
    this.#underWay.set(key, work);
    return work;
  }
}
