import { MalformedHello } from "./client-hello-result.ts";
import { Fields } from "./fields.ts";

const hostName = 0;
/** RFC 1035, 2.3.4, as text. */
const maxNameBytes = 253;

/**
 * The one host name in the list of RFC 6066, 3.
 *
 * @param data of the extension
 * @returns in lower case, without a dot at the end; null when all entries are of other types
 */
export function serverNameIn(data: Buffer): string | null {
  const extension = new Fields(data);
  const entries = extension.vector(2);
  extension.end();
  if (entries.length === 0) throw new MalformedHello("an empty list of server names");
  const list = new Fields(entries);
  let name: string | null = null;
  while (!list.isAtEnd) {
    const type = list.number(1);
    const bytes = list.vector(2);
    if (type !== hostName) continue;
    if (name !== null) throw new MalformedHello("two server names");
    name = plainName(bytes);
  }
  return name;
}

/** Only what a name in DNS can be: with a NUL or another odd byte in it, a server's idea of it may end or read differently. */
function plainName(bytes: Buffer): string {
  const text = bytes.toString("latin1");
  const name = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  if (name.length > maxNameBytes || !/^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name))
    throw new MalformedHello("a server name that is none");
  return name;
}
