import { MalformedHello, type ClientHello } from "./client-hello-result.ts";
import { Fields } from "./fields.ts";
import { serverNameIn } from "./server-name.ts";

/** Numbers of extensions (RFC 6066, 7301, 8446, 9849). */
const extensions = { serverName: 0, protocols: 16, versions: 43, encryptedHello: 0xfe0d } as const;

/**
 * A ClientHello (RFC 8446, 4.1.2).
 *
 * @param body without the header of the message
 * @throws MalformedHello when any length in it is wrong, an extension comes twice, or the name is none
 */
export function readHello(body: Buffer): ClientHello {
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
  const found = hello.isAtEnd ? new Map<number, Buffer>() : extensionsIn(hello.vector(2));
  hello.end();
  const names = found.get(extensions.serverName);
  const protocols = found.get(extensions.protocols);
  const versions = found.get(extensions.versions);
  return {
    name: names === undefined ? null : serverNameIn(names),
    protocols: protocols === undefined ? [] : protocolsIn(protocols),
    // Who does not have the list can speak what the field says, and below.
    versions: versions === undefined ? [version] : versionsIn(versions),
    hasEncryptedHello: found.has(extensions.encryptedHello),
  };
}

function extensionsIn(bytes: Buffer): Map<number, Buffer> {
  const list = new Fields(bytes);
  const found = new Map<number, Buffer>();
  while (!list.isAtEnd) {
    const type = list.number(2);
    const data = list.vector(2);
    if (found.has(type)) throw new MalformedHello(`the extension ${type} twice`);
    found.set(type, data);
  }
  return found;
}

/** RFC 7301, 3.1. */
function protocolsIn(data: Buffer): string[] {
  const list = listIn(data, 2);
  const protocols: string[] = [];
  while (!list.isAtEnd) {
    const protocol = list.vector(1);
    if (protocol.length === 0) throw new MalformedHello("a protocol without a name");
    protocols.push(protocol.toString("latin1"));
  }
  return protocols;
}

/** RFC 8446, 4.2.1. */
function versionsIn(data: Buffer): number[] {
  const list = listIn(data, 1);
  const versions: number[] = [];
  while (!list.isAtEnd) versions.push(list.number(2));
  return versions;
}

/** What an extension has when it has one list that is not empty. */
function listIn(data: Buffer, lengthBytes: 1 | 2): Fields {
  const extension = new Fields(data);
  const entries = extension.vector(lengthBytes);
  extension.end();
  if (entries.length === 0) throw new MalformedHello("an empty list in an extension");
  return new Fields(entries);
}
