import type { AuthContext, ParsedKey, PublicKeyAuthContext } from "ssh2";
import type { SshGuest } from "../guest.ts";
import { findUser, type GuestUser } from "./guest-users.ts";

/** Who may come in. */
export interface Admission {
  /** The keys that open it, looked up anew for each that is offered. */
  keys(): Promise<readonly ParsedKey[]>;
  /** Who every session is in the guest; null: whom the client names. */
  readonly user: string | null;
}

/** Decides on one attempt to come in. @returns who comes in; null when nobody does, or when it was only asked whether the key would do */
export async function decideLogin(
  attempt: AuthContext,
  admission: Admission,
  guest: SshGuest,
): Promise<GuestUser | null> {
  if (attempt.method !== "publickey") {
    attempt.reject(["publickey"]);
    return null;
  }
  const key = await findKey(attempt, admission);
  const user = key === null ? null : findUser(admission.user ?? attempt.username, await guest.readUsers());
  if (key === null || user === null || !proves(attempt, key)) {
    attempt.reject(["publickey"]);
    return null;
  }
  attempt.accept();
  return attempt.signature === undefined ? null : user;
}

async function findKey(
  { key, hashAlgo }: PublicKeyAuthContext,
  admission: Admission,
): Promise<ParsedKey | null> {
  // Without a hash it would be SHA-1.
  if (key.algo === "ssh-rsa" && hashAlgo !== "sha256" && hashAlgo !== "sha512") return null;
  const keys = await admission.keys();
  return keys.find((known) => known.type === key.algo && known.getPublicSSH().equals(key.data)) ?? null;
}

function proves({ blob, signature, hashAlgo }: PublicKeyAuthContext, key: ParsedKey): boolean {
  if (signature === undefined) return true;
  // The types say a boolean; for what is no signature it is an error.
  const result: unknown = blob !== undefined && key.verify(blob, signature, hashAlgo);
  return result === true;
}
