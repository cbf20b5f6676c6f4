import type { IpAddress } from "../../../host/ip/address.ts";
import { addressOf, targetOf, type Answer, type AnswerRecord } from "../message/answer.ts";
import { types } from "../message/codes.ts";
import type { Question } from "../message/query.ts";

/** What the name that was asked stands for. */
export interface Resolved {
  readonly addresses: readonly IpAddress[];
  /** The shortest time of the records on the way to them. */
  readonly ttlSeconds: number;
}

/**
 * Follows the chain of CNAMEs from the question to the addresses of its end. Records of other names do not count, whatever a server
 * puts into its answer. A loop ends where it comes to a name again.
 *
 * @param records of the answer that are left
 */
export function resolvedAddresses(
  { message }: Answer,
  question: Question,
  records: readonly AnswerRecord[],
): Resolved {
  const aliases = new Map<string, AnswerRecord>();
  const owned = new Map<string, AnswerRecord[]>();
  for (const record of records) {
    if (record.section !== "answer") continue;
    const { key } = record.name;
    if (record.type === types.CNAME && !aliases.has(key)) aliases.set(key, record);
    else if (record.type === question.type) {
      const others = owned.get(key);
      if (others === undefined) owned.set(key, [record]);
      else others.push(record);
    }
  }
  let key = question.name.key;
  let ttlSeconds = Infinity;
  for (;;) {
    const found = owned.get(key);
    if (found !== undefined) {
      const addresses = found
        .map((record) => addressOf(message, record))
        .filter((address) => address !== null);
      return { addresses, ttlSeconds: Math.min(ttlSeconds, ...found.map((record) => record.ttlSeconds)) };
    }
    const alias = aliases.get(key);
    const target = alias === undefined ? null : targetOf(message, alias);
    if (alias === undefined || target === null) return { addresses: [], ttlSeconds: 0 };
    aliases.delete(key);
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
    key = target.key;
  }
}
