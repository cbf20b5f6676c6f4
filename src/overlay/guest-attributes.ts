import { extendedAttributes } from "../host/files/extended-attributes.ts";

/** Where a file of the host's keeps what a guest has made of it, as `uid:gid:mode:rdev`, the mode in octal. Guests cannot reach it. */
export const overrideName = "user.msb.stat";

/** Owner, mode and device number that a guest has given to a file, kept beside it. */
export interface Override {
  readonly uid: number;
  readonly gid: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly rdev: number;
}

/** What is kept with a file that is open; null when nothing is. @throws the system's error where it cannot be read */
export function keptOverride(fd: number): Override | null {
  const value = extendedAttributes().getAttrSync(fd, overrideName);
  return value === null ? null : parseOverride(value.toString("latin1"));
}

/** @param override null for nothing. @throws the system's error where it cannot be kept */
export function writeOverride(fd: number, override: Override | null): void {
  if (override !== null) {
    const { uid, gid, mode, rdev } = override;
    const text = `${uid}:${gid}:${mode.toString(8)}:${rdev}`;
    extendedAttributes().setAttrSync(fd, overrideName, Buffer.from(text));
  } else if (extendedAttributes().getAttrSync(fd, overrideName) !== null) {
    extendedAttributes().removeAttrSync(fd, overrideName);
  }
}

/** @returns null for what is none */
function parseOverride(text: string): Override | null {
  const match = /^(\d{1,10}):(\d{1,10}):([0-7]{1,7}):(\d{1,10})$/.exec(text);
  if (match === null) return null;
  const [uid = 0, gid = 0, , rdev = 0] = match.slice(1).map(Number);
  return { uid: uid >>> 0, gid: gid >>> 0, mode: parseInt(match[3] ?? "0", 8), rdev: rdev >>> 0 };
}
