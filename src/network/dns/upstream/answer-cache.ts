import { readAnswer, type Answer } from "../message/answer.ts";
import { rcodes, types } from "../message/codes.ts";
import { headerBytes } from "../message/name.ts";

/** Bounds: answers, bytes of one of them, and how long they are kept whatever they say, seconds. */
const mostAnswers = 512;
const largestBytes = 4096;
const longestSeconds = 300;
const longestNegativeSeconds = 60;

interface Entry {
  /** Its records are read anew: as objects they would take many times its bytes. */
  readonly message: Buffer;
  readonly storedAt: number;
  readonly until: number;
}

/**
 * What servers have said a short while ago (RFC 1035, 7.4; RFC 2308). Kept as they said it: policy and filter look at it anew each
 * time. The oldest goes first.
 */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();

  /**
   * @param question as it is written now: the case of its letters may be another one
   * @param now ms
   * @returns an answer of the caller's own, to this question, with what is left of its times
   */
  get(key: string, question: Buffer, now = performance.now()): Answer | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (now >= entry.until) {
      this.#entries.delete(key);
      return null;
    }
    return aged(entry.message, question, Math.floor((now - entry.storedAt) / 1000));
  }

  put(key: string, answer: Answer, now = performance.now()): void {
    const seconds = keptSeconds(answer);
    if (seconds <= 0 || answer.message.length > largestBytes) return;
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < mostAnswers) break;
      this.#entries.delete(oldest);
    }
    const message = Buffer.from(answer.message);
    this.#entries.set(key, { message, storedAt: now, until: now + seconds * 1000 });
  }
}

/** 0: not at all. Failures are not kept, nor what says nothing about how long it holds. */
function keptSeconds({ rcode, isTruncated, isBare, records, message }: Answer): number {
  if (isTruncated || isBare || (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN)) return 0;
  const timed = records.filter(({ type }) => type !== types.OPT);
  const isNegative = rcode === rcodes.NXDOMAIN || !timed.some(({ section }) => section === "answer");
  const least = Math.min(longestSeconds, ...timed.map(({ ttlSeconds }) => ttlSeconds));
  if (!isNegative) return least;
  // RFC 2308, 5: the last field of the zone's SOA.
  const soa = timed.find(({ type, section }) => type === types.SOA && section === "authority");
  if (soa === undefined || soa.end - soa.dataAt < 4) return 0;
  return Math.min(longestNegativeSeconds, least, message.readUInt32BE(soa.end - 4));
}

function aged(kept: Buffer, question: Buffer, seconds: number): Answer | null {
  const message = Buffer.from(kept);
  question.copy(message, headerBytes);
  const answer = readAnswer(message, message.readUInt16BE(0), question);
  if (answer === null) return null;
  const records = answer.records.map((record) => {
    if (record.type === types.OPT) return record;
    const ttlSeconds = Math.max(0, record.ttlSeconds - seconds);
    message.writeUInt32BE(ttlSeconds, record.ttlAt);
    return { ...record, ttlSeconds };
  });
  return { ...answer, records };
}
