/** What a ClientHello is made of; what is left out is as an ordinary client's. */
export interface HelloParts {
  /** Bytes of the list of server names, without its length; null: no such extension. */
  readonly names: Buffer | null;
  /** Between the extension of the names and what comes before. */
  readonly before?: readonly Buffer[];
  readonly after?: readonly Buffer[];
  readonly sessionId?: Buffer;
}

/** An entry of the list of server names (RFC 6066, 3). */
export function nameEntry(name: string | Buffer, type = 0): Buffer {
  const bytes = typeof name === "string" ? Buffer.from(name, "latin1") : name;
  return Buffer.concat([Buffer.from([type]), vector(2, bytes)]);
}

/** An extension (RFC 8446, 4.2). */
export function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, data)]);
}

/** A ClientHello with its handshake header, not yet in records. Servers of TLS 1.2 take it. */
export function helloMessage({ names, before = [], after = [], sessionId }: HelloParts): Buffer {
  const server = names === null ? [] : [extension(0, vector(2, names))];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, sessionId ?? Buffer.alloc(0)),
    vector(2, Buffer.from([0xc0, 0x2b, 0xc0, 0x2f])),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat([...before, ...server, ...ordinary, ...after])),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
}

/** A message as records of handshake that carry so many bytes each. */
export function inRecords(message: Buffer, size: number = 1 << 14): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size)
    records.push(Buffer.from([22, 3, 1]), vector(2, message.subarray(at, at + size)));
  return Buffer.concat(records);
}

/** Bytes behind their length. */
export function vector(lengthBytes: 1 | 2 | 3, bytes: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

/** Groups, point formats and signature algorithms: without them a server gives up before it looks at the name. */
const ordinary: readonly Buffer[] = [
  extension(10, vector(2, Buffer.from([0, 0x17]))),
  extension(11, vector(1, Buffer.from([0]))),
  extension(13, vector(2, Buffer.from([4, 3, 8, 4]))),
];
