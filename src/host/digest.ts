import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/**
 * SHA-256 (FIPS 180-4) of something small, as 64 hexadecimal digits. Not with `node:crypto`: to load that takes longer than all
 * that a sandbox's start has to hash.
 */
export function smallSha256(content: string | Uint8Array): string {
  return bytesToHex(sha256(typeof content === "string" ? utf8ToBytes(content) : content));
}
