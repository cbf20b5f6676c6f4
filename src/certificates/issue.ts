import {
  createHash,
  createPublicKey,
  randomBytes,
  sign,
  type X509Certificate,
  type KeyObject,
} from "node:crypto";
import { InvalidConfigError } from "../errors/index.ts";
import * as der from "./der.ts";

/** Who signs. */
export interface Issuer {
  /** DER of its name (RFC 5280, 4.1.2.4). */
  readonly name: Uint8Array;
  readonly key: KeyObject;
  /** null: it has said none. */
  readonly keyIdentifier: Uint8Array | null;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const oid = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAlternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuthentication: "1.3.6.1.5.5.7.3.1",
};

/** RFC 5758, 3.2 and RFC 4055, 5. Those with parameters have a NULL. */
const signatures = {
  "ecdsa-sha256": { hash: "sha256", algorithm: der.sequence(der.objectIdentifier("1.2.840.10045.4.3.2")) },
  "ecdsa-sha384": { hash: "sha384", algorithm: der.sequence(der.objectIdentifier("1.2.840.10045.4.3.3")) },
  "rsa-sha256": {
    hash: "sha256",
    algorithm: der.sequence(der.objectIdentifier("1.2.840.113549.1.1.11"), Buffer.from([5, 0])),
  },
};

/** The certificate of an authority, signed by itself. @returns DER */
export function issueAuthority(name: Uint8Array, key: KeyObject, validity: Validity): Buffer {
  const identifier = keyIdentifierOf(key);
  return issue({ name, key, keyIdentifier: identifier }, name, createPublicKey(key), validity, [
    extension(oid.basicConstraints, der.sequence(der.yes, der.unsignedInteger(Buffer.from([0]))), "critical"),
    // keyCertSign and cRLSign.
    extension(oid.keyUsage, der.bitString(Buffer.from([0x06]), 1), "critical"),
    extension(oid.subjectKeyIdentifier, der.octetString(identifier)),
    extension(oid.authorityKeyIdentifier, der.sequence(der.contextualPrimitive(0, identifier))),
  ]);
}

/**
 * The certificate of a server.
 *
 * @param host ASCII, at most 253 bytes
 * @returns DER
 */
export function issueLeaf(issuer: Issuer, host: string, publicKey: KeyObject, validity: Validity): Buffer {
  // A common name has at most 64 characters (RFC 5280, A.1); without a subject the names have to be critical (4.2.1.6).
  const isNamed = host.length <= 64;
  const names = der.sequence(der.contextualPrimitive(2, Buffer.from(host)));
  const authority =
    issuer.keyIdentifier === null
      ? []
      : [
          extension(
            oid.authorityKeyIdentifier,
            der.sequence(der.contextualPrimitive(0, issuer.keyIdentifier)),
          ),
        ];
  return issue(
    issuer,
    isNamed ? distinguishedName({ commonName: host }) : der.sequence(),
    publicKey,
    validity,
    [
      extension(oid.basicConstraints, der.sequence(), "critical"),
      // digitalSignature.
      extension(oid.keyUsage, der.bitString(Buffer.from([0x80]), 7), "critical"),
      extension(oid.extendedKeyUsage, der.sequence(der.objectIdentifier(oid.serverAuthentication))),
      extension(oid.subjectAlternativeName, names, isNamed ? "" : "critical"),
      extension(oid.subjectKeyIdentifier, der.octetString(keyIdentifierOf(publicKey))),
      ...authority,
    ],
  );
}

/** DER of a name. */
export function distinguishedName(parts: {
  readonly commonName: string;
  readonly organization?: string;
}): Buffer {
  const attribute = (type: string, text: string): Buffer =>
    der.element(der.tags.set, der.sequence(der.objectIdentifier(type), der.utf8String(text)));
  const { commonName, organization } = parts;
  return der.sequence(
    ...(organization === undefined ? [] : [attribute(oid.organization, organization)]),
    attribute(oid.commonName, commonName),
  );
}

/** What a certificate of somebody's own says that leaves have to repeat. @throws RangeError when it cannot be read */
export function issuerOf(certificate: X509Certificate, key: KeyObject): Issuer {
  const [toBeSigned] = der.elementsOf(der.elementsOf(certificate.raw)[0]?.content ?? Buffer.alloc(0));
  const fields = der.elementsOf(toBeSigned?.content ?? Buffer.alloc(0));
  // version [0], serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …, extensions [3].
  const name = fields[5]?.whole;
  if (fields[0]?.tag !== 0xa0 || name === undefined)
    throw new RangeError("a certificate that is not of version 3");
  const extensions = fields.find(({ tag }) => tag === 0xa3);
  return {
    name,
    key,
    keyIdentifier: extensions === undefined ? null : subjectKeyIdentifier(extensions.content),
  };
}

function subjectKeyIdentifier(explicit: Buffer): Uint8Array | null {
  const wanted = der.objectIdentifier(oid.subjectKeyIdentifier);
  for (const one of der.elementsOf(der.elementsOf(explicit)[0]?.content ?? Buffer.alloc(0))) {
    const parts = der.elementsOf(one.content);
    const value = parts.at(-1);
    if (parts[0]?.whole.equals(wanted) === true && value !== undefined)
      return der.elementsOf(value.content)[0]?.content ?? null;
  }
  return null;
}

function issue(
  issuer: Issuer,
  subject: Uint8Array,
  publicKey: KeyObject,
  { notBefore, notAfter }: Validity,
  extensions: readonly Buffer[],
): Buffer {
  const { hash, algorithm } = signatures[signatureOf(issuer.key)];
  const serial = randomBytes(16);
  // Positive, and never zero (RFC 5280, 4.1.2.2).
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const toBeSigned = der.sequence(
    der.contextual(0, der.unsignedInteger(Buffer.from([2]))),
    der.unsignedInteger(serial),
    algorithm,
    issuer.name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    subject,
    publicKey.export({ format: "der", type: "spki" }),
    der.contextual(3, der.sequence(...extensions)),
  );
  return der.sequence(toBeSigned, algorithm, der.bitString(sign(hash, toBeSigned, issuer.key)));
}

/** @throws InvalidConfigError for keys that not every client of today takes */
export function signatureOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): keyof typeof signatures {
  const curve = asymmetricKeyDetails?.namedCurve;
  if (asymmetricKeyType === "ec" && curve === "prime256v1") return "ecdsa-sha256";
  if (asymmetricKeyType === "ec" && curve === "secp384r1") return "ecdsa-sha384";
  if (asymmetricKeyType === "rsa" && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048) return "rsa-sha256";
  throw new InvalidConfigError(
    `an authority's key of the kind ${String(asymmetricKeyType)}${curve === undefined ? "" : ` (${curve})`} is not supported`,
    { hint: "Use one on the curve P-256 or P-384, or RSA with at least 2,048 bits." },
  );
}

function extension(type: string, value: Uint8Array, critical: "critical" | "" = ""): Buffer {
  const flag = critical === "" ? [] : [der.yes];
  return der.sequence(der.objectIdentifier(type), ...flag, der.octetString(value));
}

/** RFC 5280, 4.2.1.2, method 1: SHA-1 of the key's bits. It names the key; nothing is protected by it. */
function keyIdentifierOf(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const info =
    der.elementsOf(publicKey.export({ format: "der", type: "spki" }))[0]?.content ?? Buffer.alloc(0);
  const bits = der.elementsOf(info)[1]?.content.subarray(1) ?? Buffer.alloc(0);
  return createHash("sha1").update(bits).digest();
}
