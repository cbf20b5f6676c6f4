import { IpAddress } from "../../../host/ip/address.ts";
import { rcodes, types } from "./codes.ts";
import { headerBytes, readName, type DomainName } from "./name.ts";

/** A record of an answer: its name and where its parts are in the message. */
export interface AnswerRecord {
  readonly section: "answer" | "authority" | "additional";
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly ttlAt: number;
  readonly dataAt: number;
  readonly end: number;
}

/** What a server said. */
export interface Answer {
  /** Without what was behind the last record. */
  readonly message: Buffer;
  /** With what EDNS adds to it (RFC 6891, 6.1.3). */
  readonly rcode: number;
  /** There is more, by TCP. Then `records` is empty. */
  readonly isTruncated: boolean;
  /** There is nothing in it but the rcode: servers older than EDNS leave even the question out. */
  readonly isBare: boolean;
  readonly records: readonly AnswerRecord[];
}

const sections = ["answer", "authority", "additional"] as const;

/**
 * Reads the answer to a question: with its id, its question to the letter's case, counts that are right, names that are some, and
 * addresses of the right length.
 *
 * @returns null when it is none, or not one to this question (RFC 5452, 9.1)
 */
export function readAnswer(message: Buffer, id: number, question: Buffer): Answer | null {
  if (message.length < headerBytes || message.readUInt16BE(0) !== id) return null;
  const flags = message.readUInt16BE(2);
  const isResponseToQuery = (flags & 0xf800) === 0x8000;
  if (!isResponseToQuery) return null;
  const rcode = flags & 0xf;
  const [questions = 0, ...counts] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  const isTruncated = (flags & 0x0200) !== 0;
  if (questions === 0 && counts.every((count) => count === 0) && isOwnFault(rcode))
    return {
      message: message.subarray(0, headerBytes),
      rcode,
      isTruncated: false,
      isBare: true,
      records: [],
    };
  const questionEnd = headerBytes + question.length;
  if (questions !== 1 || !message.subarray(headerBytes, questionEnd).equals(question)) return null;
  // What was cut off may be in the midst of a record, and is asked for again anyway.
  if (isTruncated) return { message, rcode, isTruncated, isBare: false, records: [] };

  const records: AnswerRecord[] = [];
  let at = questionEnd;
  let extended = 0;
  for (const [index, section] of sections.entries()) {
    for (let count = counts[index] ?? 0; count > 0; count--) {
      const record = readRecord(message, at, section);
      if (record === null) return null;
      if (record.type === types.OPT && section === "additional") extended = message.readUInt8(record.ttlAt);
      records.push(record);
      at = record.end;
    }
  }
  return {
    message: message.subarray(0, at),
    rcode: (extended << 4) | rcode,
    isTruncated,
    isBare: false,
    records,
  };
}

/** The address in an A or AAAA record; null for any other. */
export function addressOf(message: Buffer, record: AnswerRecord): IpAddress | null {
  if (record.type !== types.A && record.type !== types.AAAA) return null;
  return IpAddress.of(message.subarray(record.dataAt, record.end));
}

/** The name that a CNAME leads to; null for any other. */
export function targetOf(message: Buffer, record: AnswerRecord): DomainName | null {
  if (record.type !== types.CNAME) return null;
  return readName(message, record.dataAt, true, record.end)?.name ?? null;
}

function readRecord(message: Buffer, at: number, section: AnswerRecord["section"]): AnswerRecord | null {
  const owner = readName(message, at, true);
  if (owner === null || owner.end + 10 > message.length) return null;
  const type = message.readUInt16BE(owner.end);
  const ttl = message.readUInt32BE(owner.end + 4);
  const dataAt = owner.end + 10;
  const end = dataAt + message.readUInt16BE(owner.end + 8);
  if (end > message.length) return null;
  // Whatever the class: not every resolver in a guest looks at it.
  if (type === types.A && end - dataAt !== 4) return null;
  if (type === types.AAAA && end - dataAt !== 16) return null;
  if (type === types.CNAME && readName(message, dataAt, true, end)?.end !== end) return null;
  return {
    section,
    name: owner.name,
    type,
    class: message.readUInt16BE(owner.end + 2),
    // RFC 2181, 8: with the highest bit it is 0.
    ttlSeconds: ttl > 0x7fffffff ? 0 : ttl,
    ttlAt: owner.end + 4,
    dataAt,
    end,
  };
}

function isOwnFault(rcode: number): boolean {
  const faults: readonly number[] = [rcodes.FORMERR, rcodes.SERVFAIL, rcodes.NOTIMP, rcodes.REFUSED];
  return faults.includes(rcode);
}
