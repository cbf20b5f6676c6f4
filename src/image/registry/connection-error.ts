import { HttpError } from "../../errors/index.ts";

/** Leaves out the query: what a registry redirects to is often signed there. */
export function displayUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

const trustHint =
  "Add the registry's CA certificate: registries.ca_certs in config.json, caCerts() in a program, --ca-certs of msb pull. Or allow it: registries.hosts.HOST.insecure, insecure(), --insecure.";

const hints: Readonly<Record<string, string>> = {
  ENOTFOUND: "Check the registry's name and this machine's network and DNS.",
  EAI_AGAIN: "Check this machine's network and DNS.",
  ECONNREFUSED: "Check that the registry runs and that the port is right.",
  EPROTO:
    "The registry may speak plain HTTP: allow it with registries.hosts.HOST.insecure in config.json, insecure() or --insecure.",
  ERR_SSL_WRONG_VERSION_NUMBER:
    "The registry may speak plain HTTP: allow it with registries.hosts.HOST.insecure in config.json, insecure() or --insecure.",
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    "The registry may speak plain HTTP: allow it with registries.hosts.HOST.insecure in config.json, insecure() or --insecure.",
  DEPTH_ZERO_SELF_SIGNED_CERT: trustHint,
  SELF_SIGNED_CERT_IN_CHAIN: trustHint,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: trustHint,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: trustHint,
  CERT_HAS_EXPIRED: "The registry's certificate has expired; check this machine's clock as well.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The registry's certificate is for another name.",
};

export function connectionError(url: URL, error: unknown): HttpError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error && error.message !== "" ? error.message.trim() : code;
  return new HttpError(`cannot reach ${displayUrl(url)}: ${reason}`, { cause: error, hint: hints[code] });
}
