import {
  authorityPaths,
  homeAuthority,
  rotateAuthority,
  type Authority,
} from "../../certificates/authority.ts";
import { locateHome } from "../../store/home.ts";

/** What `msb tls` does. Programs need not know of it, so none of this is public. */

/** The authority of a home, without its key. */
export interface AuthorityFacts {
  readonly subject: string;
  /** SHA-256 of the certificate, as openssl writes it: `AB:CD:…`. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Of the certificate, on this host. */
  readonly path: string;
  readonly pem: string;
}

/** Made when there is none. @throws InvalidConfigError; IoError */
export async function authority(): Promise<AuthorityFacts> {
  const home = locateHome();
  return factsOf(await homeAuthority(home), authorityPaths(home).certificate);
}

/** Makes another one. @throws IoError */
export async function rotate(): Promise<AuthorityFacts> {
  const home = locateHome();
  return factsOf(await rotateAuthority(home), authorityPaths(home).certificate);
}

function factsOf({ certificate, pem }: Authority, path: string): AuthorityFacts {
  return {
    subject: certificate.subject.replaceAll("\n", ", "),
    fingerprint: certificate.fingerprint256,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    path,
    pem,
  };
}
