/** DNS messages as a server says and reads them (RFC 1035), written from the standard alone: it shares no code with the gateway. */

export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  OPT: 41,
  HTTPS: 65,
};
export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };

export interface Question {
  readonly id: number;
  /** As it was sent; odd bytes as `\ddd`. */
  readonly name: string;
  readonly type: number;
  /** Where it ends. */
  readonly end: number;
}

export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly ttl: number;
  readonly data: Buffer;
}

/** @param name labels between dots; a byte may be written as `\ddd` */
export function nameBytes(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  return Buffer.concat([
    ...labels.flatMap((label) => {
      const text = label.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number(code)));
      return [Buffer.from([text.length]), Buffer.from(text, "latin1")];
    }),
    Buffer.from([0]),
  ]);
}

function escaped(label: Buffer): string {
  return [...label]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\${String(byte).padStart(3, "0")}`,
    )
    .join("");
}

/** Reads the first question. A name in a question is never compressed. */
export function readQuestion(message: Buffer): Question {
  const labels: string[] = [];
  let at = 12;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    if (length > 63) throw new RangeError("a compressed name in a question");
    labels.push(escaped(message.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
  return {
    id: message.readUInt16BE(0),
    name: labels.join("."),
    type: message.readUInt16BE(at + 1),
    end: at + 5,
  };
}

export function addressRecord(name: string, address: string, ttl = 60): ResourceRecord {
  if (!address.includes(":"))
    return { name, type: types.A, ttl, data: Buffer.from(address.split(".").map(Number)) };
  const [front = "", back] = address.split("::");
  const words = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16));
  const [first, last] = [words(front), words(back ?? "")];
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  const data = Buffer.alloc(16);
  all.forEach((word, index) => data.writeUInt16BE(word, index * 2));
  return { name, type: types.AAAA, ttl, data };
}

export const aliasRecord = (name: string, target: string, ttl = 60): ResourceRecord => ({
  name,
  type: types.CNAME,
  ttl,
  data: nameBytes(target),
});

export const textRecord = (name: string, text: string, ttl = 60): ResourceRecord => ({
  name,
  type: types.TXT,
  ttl,
  data: Buffer.concat(
    (text.match(/[^]{1,255}/g) ?? [""]).map((part) => Buffer.from([part.length, ...Buffer.from(part)])),
  ),
});

export interface Response {
  readonly rcode?: number;
  readonly records?: readonly ResourceRecord[];
  readonly truncated?: boolean;
}

/** Answers a question: its id, its flag "recursion desired", the question itself, and records with names in full. */
export function response(query: Buffer, { rcode = 0, records = [], truncated = false }: Response): Buffer {
  const { end } = readQuestion(query);
  const header = Buffer.alloc(12);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(0x8080 | (query.readUInt16BE(2) & 0x0100) | (truncated ? 0x0200 : 0) | rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([
    header,
    query.subarray(12, end),
    ...records.flatMap(({ name, type, ttl, data }) => {
      const fixed = Buffer.alloc(10);
      fixed.writeUInt16BE(type, 0);
      fixed.writeUInt16BE(1, 2);
      fixed.writeUInt32BE(ttl, 4);
      fixed.writeUInt16BE(data.length, 8);
      return [nameBytes(name), fixed, data];
    }),
  ]);
}
