import { classIn, firstMetaType, lastMetaType, rcodes, types } from "./codes.ts";
import { headerBytes, readName, type DomainName } from "./name.ts";

/** What EDNS(0) says of the one who asks (RFC 6891, 6.1). */
export interface Edns {
  /** Bytes of UDP payload that it takes. */
  readonly udpSize: number;
  /** It wants DNSSEC's records (RFC 3225). */
  readonly isDnssecOk: boolean;
}

/** What an answer repeats of a question, whatever is wrong with it. */
export interface QueryHead {
  readonly id: number;
  readonly opcode: number;
  readonly isRecursionDesired: boolean;
  readonly isCheckingDisabled: boolean;
  /** The name, the type and the class as they came; null when they could not be read. */
  readonly question: Buffer | null;
  readonly edns: Edns | null;
}

export interface Question {
  readonly name: DomainName;
  readonly type: number;
}

/** A question of a guest. */
export interface Query extends QueryHead {
  readonly question: Buffer;
  readonly name: DomainName;
  readonly type: number;
  /** It understands the AD bit (RFC 6840, 5.7). */
  readonly isAuthenticDataWanted: boolean;
}

/** What a guest sent: a query, or one that is answered with an error without being asked. */
export type ReadQuery =
  | { readonly kind: "query"; readonly query: Query }
  | {
      readonly kind: "error";
      readonly head: QueryHead;
      readonly rcode: number;
      readonly asked: Question | null;
    };

/**
 * Reads what a guest sent (RFC 1035, 4; RFC 6891): one standard query with one question about the Internet, maybe with EDNS, and nothing
 * behind it.
 *
 * @returns null for what is no query at all, such as an answer: whoever answers those makes loops
 */
export function readQuery(message: Buffer): ReadQuery | null {
  if (message.length < headerBytes) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return null;
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  const asked = questions === 0 ? null : readQuestion(message);
  const base = {
    id: message.readUInt16BE(0),
    opcode: (flags >> 11) & 0xf,
    isRecursionDesired: (flags & 0x0100) !== 0,
    isCheckingDisabled: (flags & 0x0010) !== 0,
    question: asked?.bytes ?? null,
  };
  const failed = (rcode: number, edns: Edns | null = null): ReadQuery => ({
    kind: "error",
    head: { ...base, edns },
    rcode,
    asked,
  });

  if (base.opcode !== 0) return failed(rcodes.NOTIMP);
  if (asked === null || questions !== 1) return failed(rcodes.FORMERR);
  // Transfers and keys are between servers. They come before the counts are looked at, because IXFR has an authority.
  if (asked.type >= firstMetaType && asked.type <= lastMetaType) return failed(rcodes.REFUSED);
  if (answers !== 0 || authorities !== 0 || asked.type === 0 || asked.type === types.OPT)
    return failed(rcodes.FORMERR);
  let at = asked.end;
  let edns: (Edns & { readonly version: number }) | null = null;
  if (additionals === 1) {
    const opt = readOpt(message, at);
    if (opt === null) return failed(rcodes.FORMERR);
    edns = opt.edns;
    at = opt.end;
  } else if (additionals !== 0) return failed(rcodes.FORMERR);
  if (at !== message.length) return failed(rcodes.FORMERR, edns);
  if (edns !== null && edns.version !== 0) return failed(rcodes.BADVERS, edns);
  if (asked.class !== classIn) return failed(rcodes.REFUSED, edns);
  const { bytes: question, name, type } = asked;
  const isAuthenticDataWanted = (flags & 0x0020) !== 0;
  return { kind: "query", query: { ...base, question, edns, name, type, isAuthenticDataWanted } };
}

function readQuestion(
  message: Buffer,
): (Question & { readonly class: number; readonly end: number; readonly bytes: Buffer }) | null {
  // There is nothing before the first name that a pointer could lead to.
  const read = readName(message, headerBytes, false);
  if (read === null || read.end + 4 > message.length) return null;
  const end = read.end + 4;
  return {
    name: read.name,
    type: message.readUInt16BE(read.end),
    class: message.readUInt16BE(read.end + 2),
    end,
    bytes: Buffer.from(message.subarray(headerBytes, end)),
  };
}

function readOpt(
  message: Buffer,
  at: number,
): { readonly edns: Edns & { readonly version: number }; readonly end: number } | null {
  const optHeaderBytes = 11;
  if (at + optHeaderBytes > message.length || message[at] !== 0) return null;
  if (message.readUInt16BE(at + 1) !== types.OPT) return null;
  const end = at + optHeaderBytes + message.readUInt16BE(at + 9);
  if (end > message.length) return null;
  let option = at + optHeaderBytes;
  while (option + 4 <= end) option += 4 + message.readUInt16BE(option + 2);
  if (option !== end) return null;
  return {
    edns: {
      udpSize: message.readUInt16BE(at + 3),
      version: message.readUInt8(at + 6),
      isDnssecOk: (message.readUInt16BE(at + 7) & 0x8000) !== 0,
    },
    end,
  };
}
