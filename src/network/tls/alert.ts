/** Why a peer is told that there will be no connection (RFC 8446, 6.2). */
export const alerts = {
  handshakeFailure: 40,
  badCertificate: 42,
  unsupportedCertificate: 43,
  certificateRevoked: 44,
  certificateExpired: 45,
  unknownCa: 48,
  protocolVersion: 70,
  internalError: 80,
  unrecognizedName: 112,
} as const;

/** A fatal alert in a record of its own, as a client takes it in the place of the ServerHello. */
export function alertRecord(description: number): Buffer {
  return Buffer.of(21, 3, 3, 0, 2, 2, description);
}
