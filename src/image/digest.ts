import { createHash, hash, type Hash } from "node:crypto";
import { ImageError } from "../errors/index.ts";

/** The algorithms that the OCI image specification registers (descriptor.md, "Registered algorithms"), with their hex digits. */
const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

/** A checked digest: safe to be part of a path. */
export interface Digest {
  readonly algorithm: "sha256" | "sha512";
  readonly hex: string;
}

/** @returns null when the text is no digest that can be verified here */
export function parseDigest(text: string): Digest | null {
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  if (algorithm !== "sha256" && algorithm !== "sha512") return null;
  return hex.length === hexLengths[algorithm] && /^[0-9a-f]+$/.test(hex) ? { algorithm, hex } : null;
}

/** @throws ImageError that names `what` */
export function requireDigest(text: string, what: string): Digest {
  const digest = parseDigest(text);
  if (digest !== null) return digest;
  throw new ImageError(
    `${what} has the digest ${JSON.stringify(text.slice(0, 200))}, which cannot be verified`,
    {
      hint: "Digests are sha256: or sha512: followed by lower-case hexadecimal digits.",
    },
  );
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash("sha256", bytes)}`;
}

export function hashFor(digest: Digest): Hash {
  return createHash(digest.algorithm);
}

/** @throws ImageError that names `what` when the bytes are others than the digest's */
export function verifyBytes(bytes: Uint8Array, digest: string, what: string): void {
  const expected = requireDigest(digest, what);
  const found = hash(expected.algorithm, bytes);
  if (found !== expected.hex) throw digestMismatch(what, digest, `${expected.algorithm}:${found}`);
}

export function digestMismatch(what: string, expected: string, found: string): ImageError {
  return new ImageError(`${what} is damaged: its digest is ${found}, not ${expected}`, {
    hint: "Try again; if it happens again, the registry or something on the way to it alters what it sends.",
  });
}
