import type { Answer, AnswerRecord } from "./answer.ts";
import { types } from "./codes.ts";
import { headerBytes, readName, type DomainName } from "./name.ts";

/** A record that stays, maybe with other data. */
export interface KeptRecord {
  readonly record: AnswerRecord;
  /** null: its own. */
  readonly data: Buffer | null;
}

/** Bits that speak of the whole answer: authoritative, and checked by DNSSEC (RFC 4035, 3.2.3). */
const authenticBits = 0x0420;
/** By TCP: what its prefix of two bytes can say. */
const longestMessage = 65535;

/**
 * Writes an answer anew with the records that are kept. Bytes cannot just be cut out of the old one, because names behind them point
 * into it.
 *
 * @returns null when a name in the data of a record is none, or when it would be longer than a message can be
 */
export function rewriteAnswer(
  { message }: Answer,
  question: Buffer,
  kept: readonly KeptRecord[],
): Buffer | null {
  const writer = new MessageWriter();
  const header = Buffer.from(message.subarray(0, headerBytes));
  header.writeUInt16BE(header.readUInt16BE(2) & ~authenticBits, 2);
  for (const [index, section] of (["answer", "authority", "additional"] as const).entries())
    header.writeUInt16BE(kept.filter(({ record }) => record.section === section).length, 6 + 2 * index);
  writer.bytes(header);
  const name = readName(question, 0, false);
  if (name === null) return null;
  writer.name(name.name);
  writer.bytes(question.subarray(name.end));
  for (const { record, data } of kept) {
    writer.name(record.name);
    writer.bytes(message.subarray(record.ttlAt - 4, record.ttlAt + 4));
    const length = Buffer.alloc(2);
    writer.bytes(length);
    const dataAt = writer.length;
    if (data !== null) writer.bytes(data);
    else if (!writeData(writer, message, record)) return null;
    // Names that were pointers are longer now.
    if (writer.length > longestMessage) return null;
    length.writeUInt16BE(writer.length - dataAt, 0);
  }
  return writer.result();
}

/** Bytes before the names in the data of the types that may have them compressed, and how many names (RFC 1035, 3.3; RFC 3597, 4). */
const namesInData: ReadonlyMap<number, { readonly before: number; readonly names: number }> = new Map([
  [types.NS, { before: 0, names: 1 }],
  [3, { before: 0, names: 1 }],
  [4, { before: 0, names: 1 }],
  [types.CNAME, { before: 0, names: 1 }],
  [types.SOA, { before: 0, names: 2 }],
  [7, { before: 0, names: 1 }],
  [8, { before: 0, names: 1 }],
  [9, { before: 0, names: 1 }],
  [12, { before: 0, names: 1 }],
  [14, { before: 0, names: 2 }],
  [15, { before: 2, names: 1 }],
  [17, { before: 0, names: 2 }],
  [18, { before: 2, names: 1 }],
  [21, { before: 2, names: 1 }],
  [26, { before: 2, names: 2 }],
  [33, { before: 6, names: 1 }],
  [36, { before: 2, names: 1 }],
]);

function writeData(writer: MessageWriter, message: Buffer, { type, dataAt, end }: AnswerRecord): boolean {
  const form = namesInData.get(type);
  if (form === undefined) {
    writer.bytes(message.subarray(dataAt, end));
    return true;
  }
  let at = dataAt + form.before;
  if (at > end) return false;
  writer.bytes(message.subarray(dataAt, at));
  for (let count = 0; count < form.names; count++) {
    const read = readName(message, at, true, end);
    if (read === null) return false;
    writer.uncompressedName(read.name);
    at = read.end;
  }
  writer.bytes(message.subarray(at, end));
  return true;
}

/** Writes names of records with pointers to the first of their like. */
class MessageWriter {
  readonly #parts: Buffer[] = [];
  readonly #names = new Map<string, number>();
  length = 0;

  bytes(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  /** To the letter's case: a pointer gives the name that it leads to. */
  name(name: DomainName): void {
    const { wire } = name;
    for (let at = 0; at < wire.length - 1; at += 1 + (wire[at] ?? 0)) {
      const rest = wire.toString("latin1", at);
      const target = this.#names.get(rest);
      if (target !== undefined) {
        this.bytes(wire.subarray(0, at));
        const pointer = Buffer.alloc(2);
        pointer.writeUInt16BE(0xc000 | target, 0);
        this.bytes(pointer);
        return;
      }
      // Fourteen bits reach so far.
      if (this.length + at <= 0x3fff) this.#names.set(rest, this.length + at);
    }
    this.bytes(wire);
  }

  uncompressedName({ wire }: DomainName): void {
    this.bytes(wire);
  }

  result(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
