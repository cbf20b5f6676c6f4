import { violation } from "./violation.ts";

/**
 * Events as they travel in the data of a stream, from the agent to the supervisor and from there to clients:
 *
 *     u32 length of what follows | u8 kind | u64 ms since 1970 | u16 length of the name | name, UTF-8 | data, JSON
 *
 * Where an event has no data there is none. From the agent only the kind `guest` comes, and its time is 0: the supervisor says what time
 * it is.
 */
export const eventKinds = ["guest", "lifecycle", "network", "dropped"] as const;
export type EventKind = (typeof eventKinds)[number];

/** Bytes of an event's name, and of its data. */
export const mostNameBytes = 128;
export const mostDataBytes = 1024 * 1024;

const lengthBytes = 4;
const headBytes = 1 + 8 + 2;
const mostRecordBytes = headBytes + mostNameBytes + mostDataBytes;
const timeOffset = lengthBytes + 1;

/** An event that was received. */
export interface EventRecord {
  readonly kind: EventKind;
  readonly timeMs: number;
  readonly name: string;
  /** JSON, or nothing; not checked. */
  readonly data: Buffer;
  /** All of it, as it is sent. */
  readonly bytes: Buffer;
}

/** @param data JSON; empty: it has none */
export function encodeEvent(kind: EventKind, timeMs: number, name: string, data: string): Buffer {
  const nameBytes = Buffer.byteLength(name);
  const length = headBytes + nameBytes + Buffer.byteLength(data);
  const bytes = Buffer.allocUnsafe(lengthBytes + length);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt8(eventKinds.indexOf(kind), lengthBytes);
  stampEvent(bytes, timeMs);
  bytes.writeUInt16BE(nameBytes, lengthBytes + headBytes - 2);
  bytes.write(name, lengthBytes + headBytes);
  bytes.write(data, lengthBytes + headBytes + nameBytes);
  return bytes;
}

/** Says in a whole record when it was. */
export function stampEvent(bytes: Buffer, timeMs: number): void {
  bytes.writeBigUInt64BE(BigInt(timeMs), timeOffset);
}

/** Puts records together from pieces. What it keeps of one that is not whole is no more than the largest one has. */
export class EventRecordReader {
  /** Of the record that has begun, so many bytes are here. */
  #have = 0;
  readonly #length = Buffer.alloc(lengthBytes);
  #record: Buffer | null = null;

  /**
   * @param piece the caller's again when this returns
   * @throws ProtocolError for what is no record
   */
  push(piece: Buffer): EventRecord[] {
    const records: EventRecord[] = [];
    let at = 0;
    while (at < piece.length) {
      if (this.#record === null) {
        const taken = piece.copy(this.#length, this.#have, at);
        this.#have += taken;
        at += taken;
        if (this.#have < lengthBytes) break;
        const length = this.#length.readUInt32BE(0);
        if (length < headBytes || length > mostRecordBytes) throw violation(`an event of ${length} bytes`);
        this.#record = Buffer.allocUnsafe(lengthBytes + length);
        this.#length.copy(this.#record);
      }
      const taken = piece.copy(this.#record, this.#have, at);
      this.#have += taken;
      at += taken;
      if (this.#have < this.#record.length) break;
      records.push(decodeEvent(this.#record));
      this.#record = null;
      this.#have = 0;
    }
    return records;
  }
}

/** @throws ProtocolError */
function decodeEvent(bytes: Buffer): EventRecord {
  const kind = eventKinds[bytes.readUInt8(lengthBytes)];
  if (kind === undefined) throw violation("an event of a kind that there is not");
  const timeMs = Number(bytes.readBigUInt64BE(timeOffset));
  const start = lengthBytes + headBytes;
  const end = start + bytes.readUInt16BE(start - 2);
  if (end > bytes.length || end - start > mostNameBytes)
    throw violation("an event whose name is longer than it may be");
  const name = bytes.toString("utf8", start, end);
  if (!Number.isSafeInteger(timeMs) || !isEventName(name)) throw violation("an event without a name or time");
  const data = bytes.subarray(end);
  if (data.length > mostDataBytes) throw violation(`an event with ${data.length} bytes of data`);
  return { kind, timeMs, name, data, bytes };
}

/** What the host tells of itself begins so: no program can make up such a name. */
export const reservedNames = ["lifecycle:", "network:", "files:"] as const;

export function isReservedName(name: string): boolean {
  return reservedNames.some((reserved) => name.startsWith(reserved));
}

/** Whether an event may have this name, or one may listen for it. */
export function isEventName(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return bytes >= 1 && bytes <= mostNameBytes && !/[\u0000-\u001f\u007f-\u009f]/.test(name);
}

/** Whether who listens for `wanted`, a name or the beginning of one with * after it, is told of this event. */
export function isWanted(wanted: string, name: string): boolean {
  return wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : wanted === name;
}

/** Whether who listens for these names, or for all where there are none, may be told of events whose names begin so. */
export function wantsBeginning(names: readonly string[], beginning: string): boolean {
  const mayBe = (wanted: string): boolean => {
    if (!wanted.endsWith("*")) return wanted.startsWith(beginning);
    const given = wanted.slice(0, -1);
    return given.startsWith(beginning) || beginning.startsWith(given);
  };
  return names.length === 0 || names.some(mayBe);
}

/** Whether who listens for these names may be told of what programs of the guest tell. */
export function wantsGuest(names: readonly string[]): boolean {
  return names.length === 0 || names.some((wanted) => !isReservedName(wanted));
}
