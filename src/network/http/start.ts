/** How a connection begins. `tls`: as a record of a handshake does. `connect`: as a request to a proxy for a tunnel. */
export type Start = "tls" | "connect" | "other";

const connect = Buffer.from("CONNECT ", "latin1");
const handshakeRecord = 22;
const tlsMajorVersion = 3;

/**
 * Tells it by the first bytes.
 *
 * @returns null while these may become either
 */
export function startOf(bytes: Buffer): Start | null {
  const [first, second] = bytes;
  if (first === undefined) return null;
  if (first === handshakeRecord)
    return second === undefined ? null : second === tlsMajorVersion ? "tls" : "other";
  const length = Math.min(bytes.length, connect.length);
  if (!bytes.subarray(0, length).equals(connect.subarray(0, length))) return "other";
  return length === connect.length ? "connect" : null;
}
