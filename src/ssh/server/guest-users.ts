/** Who a session is in the guest. */
export interface GuestUser {
  /** As commands are told: a name or a number, with or without a group. */
  readonly spec: string;
  readonly name: string;
  readonly home: string;
}

/**
 * @param spec name, uid, `user:group` or `uid:gid`
 * @param users the guest's `/etc/passwd`
 * @returns null when there is nobody of that name
 */
export function findUser(spec: string, users: string): GuestUser | null {
  const name = spec.split(":", 1)[0] ?? "";
  const isNumber = /^\d{1,10}$/.test(name);
  for (const line of users.split("\n")) {
    const [entry, , uid, , , home = ""] = line.split(":");
    if (entry === undefined || entry === "" || (entry !== name && !(isNumber && uid === name))) continue;
    return { spec, name: entry, home: home.startsWith("/") ? home : "/" };
  }
  if (name === "root") return { spec, name, home: "/" };
  return isNumber ? { spec, name, home: "/" } : null;
}
