import { MalformedHello } from "./client-hello-result.ts";

const serverNameExtension = 0;
const hostName = 0;
/** RFC 1035, 2.3.4, as text. */
const maxNameBytes = 253;

/**
 * The name of the server in a ClientHello (RFC 8446, 4.1.2).
 *
 * @param body without the header of the message
 * @returns in lower case, without a dot at the end; null when it says none
 * @throws MalformedHello when any length in it is wrong, an extension comes twice, or the name is none
 */
export function serverNameOf(body: Buffer): string | null {
  const hello = new Fields(body);
  const version = hello.number(2);
  if (version >> 8 !== 3)
    throw new MalformedHello(`a ClientHello of version ${version >> 8}.${version & 255}`);
  hello.skip(32); // random
  if (hello.vector(1).length > 32) throw new MalformedHello("a session id of more than 32 bytes");
  const suites = hello.vector(2);
  if (suites.length < 2 || suites.length % 2 !== 0)
    throw new MalformedHello("a list of cipher suites that is none");
  if (hello.vector(1).length === 0) throw new MalformedHello("no compression method");
  // Before TLS 1.2 there may be no extensions at all.
  if (hello.isAtEnd) return null;
  const extensions = new Fields(hello.vector(2));
  hello.end();
  const seen = new Set<number>();
  let name: string | null = null;
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (seen.has(type)) throw new MalformedHello(`the extension ${type} twice`);
    seen.add(type);
    if (type === serverNameExtension) name = nameInList(data);
  }
  return name;
}

/** The one host name in the list of RFC 6066, 3; null when all are of other types. */
function nameInList(data: Buffer): string | null {
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

/** Reads what lies one after the other. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(bytes: 1 | 2): number {
    return this.skip(bytes).readUIntBE(0, bytes);
  }

  /** Bytes behind their own length, which has so many bytes. */
  vector(lengthBytes: 1 | 2): Buffer {
    return this.skip(this.number(lengthBytes));
  }

  skip(bytes: number): Buffer {
    const end = this.#at + bytes;
    if (end > this.#bytes.length) throw new MalformedHello("a length that leads behind the end");
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  end(): void {
    if (!this.isAtEnd) throw new MalformedHello("bytes behind the end");
  }
}
