import type { HttpField } from "../../../src/network/http/message.ts";

/** Frames as bytes (RFC 9113, 4.1). */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without a table: literal fields, never indexed (RFC 7541, 6.2.3). */
export function block(fields: readonly HttpField[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length = [127];
    let left = bytes.length - 127;
    for (; left >= 128; left >>= 7) length.push((left & 0x7f) | 0x80);
    return Buffer.concat([Buffer.from([...length, left]), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]));
}

/** How a client begins. */
export const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0)]);
/** The head of a request that is right. */
export const good: readonly HttpField[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a.b"],
];

/** A HEADERS frame and its continuations. */
export function headersOver(bytes: number): Buffer[] {
  const whole = block([...good, ["x", "y".repeat(bytes)]]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 16_000) {
    const isLast = at + 16_000 >= whole.length;
    pieces.push(
      frame(at === 0 ? 1 : 9, (at === 0 ? 1 : 0) | (isLast ? 4 : 0), 1, whole.subarray(at, at + 16_000)),
    );
  }
  return pieces;
}
