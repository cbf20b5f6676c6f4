import { alerts } from "../tls/alert.ts";
import type { ClientHello } from "../tls/client-hello-result.ts";

/** Why a server could not be connected to, for the log, and as the guest is told. */
export interface UpstreamFailure {
  readonly reason: string;
  /** Of TLS. */
  readonly alert: number;
}

/** By the codes of Node.js for what X.509 says of a chain, as OpenSSL's own client would tell its peer (`ssl_x509err2alert`). */
const alertsOfCertificates: ReadonlyMap<string, number> = new Map([
  ["CERT_HAS_EXPIRED", alerts.certificateExpired],
  ["CERT_REVOKED", alerts.certificateRevoked],
  ["CERT_NOT_YET_VALID", alerts.badCertificate],
  ["CERT_SIGNATURE_FAILURE", alerts.badCertificate],
  ["CERT_REJECTED", alerts.badCertificate],
  ["CERT_UNTRUSTED", alerts.badCertificate],
  ["ERR_TLS_CERT_ALTNAME_INVALID", alerts.badCertificate],
  ["HOSTNAME_MISMATCH", alerts.badCertificate],
  ["INVALID_PURPOSE", alerts.unsupportedCertificate],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", alerts.unknownCa],
  ["SELF_SIGNED_CERT_IN_CHAIN", alerts.unknownCa],
  ["UNABLE_TO_GET_ISSUER_CERT", alerts.unknownCa],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", alerts.unknownCa],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", alerts.unknownCa],
  ["CERT_CHAIN_TOO_LONG", alerts.unknownCa],
  ["INVALID_CA", alerts.unknownCa],
  ["PATH_LENGTH_EXCEEDED", alerts.unknownCa],
]);

/** What OpenSSL says of chains in words only. */
const weak = /too weak|too small/;

/** Of a failed handshake with a server. */
export function failureOf(error: unknown): UpstreamFailure {
  const { code = "", message } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  const known = alertsOfCertificates.get(code);
  if (known !== undefined) return { reason: code, alert: known };
  if (weak.test(message)) return { reason: message, alert: alerts.badCertificate };
  // The server's own alert is passed on.
  const told = /SSL alert number (\d{1,3})/.exec(message)?.[1];
  if (told !== undefined) return { reason: code, alert: Number(told) };
  if (code === "ERR_SSL_UNSUPPORTED_PROTOCOL" || code === "ERR_SSL_WRONG_VERSION_NUMBER")
    return { reason: code, alert: alerts.protocolVersion };
  if (code.startsWith("ERR_SSL_")) return { reason: code, alert: alerts.handshakeFailure };
  return { reason: code === "" ? message : code, alert: alerts.internalError };
}

/**
 * Of a handshake with the guest that failed. That nobody here can read an Encrypted Client Hello may be why: the alert that a client has for
 * it (`ech_required`, RFC 9849, 6.1.6) is none that Node.js tells of.
 */
export function guestReasonOf(
  error: unknown,
  { hasEncryptedHello }: Pick<ClientHello, "hasEncryptedHello">,
): string {
  const reason = reasonOf(error);
  return hasEncryptedHello ? `${reason} (with an Encrypted Client Hello)` : reason;
}

/** OpenSSL's code, or a few words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.message;
}
