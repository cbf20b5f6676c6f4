import type { Credentials } from "../../../config/network/proxy/proxy-credentials.ts";
import { IpAddress } from "../../../host/ip/address.ts";
import type { Target } from "../tcp/dial.ts";
import { failed, more, type Handshake, type HandshakeFor, type Step } from "./handshake.ts";

const version = 5;
const methods = { none: 0, password: 2 } as const;
/** Behind the four bytes of a reply's head: the bound address, which nobody needs. */
const boundBytes: Readonly<Record<number, number>> = { 1: 4 + 2, 4: 16 + 2 };

/** SOCKS 5 (RFC 1928) with a name and password (RFC 1929) or without. Addresses only: names are the gateway's business. */
export function socks5(credentials: Credentials | null): HandshakeFor {
  return (target) => new Socks5(target, credentials);
}

class Socks5 implements Handshake {
  readonly opening: Buffer;
  readonly #target: Target;
  readonly #credentials: Credentials | null;
  #stage: "method" | "password" | "reply" = "method";

  constructor(target: Target, credentials: Credentials | null) {
    this.#target = target;
    this.#credentials = credentials;
    const offered = credentials === null ? [methods.none] : [methods.none, methods.password];
    this.opening = Buffer.from([version, offered.length, ...offered]);
  }

  next(bytes: Buffer): Step {
    if (bytes.length < 2) return more;
    switch (this.#stage) {
      case "method":
        if (bytes[0] !== version) return failed("it does not speak SOCKS 5");
        if (bytes[1] === methods.none) return this.#request();
        if (bytes[1] !== methods.password || this.#credentials === null)
          return failed("it wants to know who connects, in a way that was not offered");
        this.#stage = "password";
        return { kind: "send", bytes: passwordOf(this.#credentials) };
      case "password":
        return bytes[1] === 0 ? this.#request() : failed("it did not take the name and password");
      case "reply":
        return reply(bytes);
    }
  }

  #request(): Step {
    this.#stage = "reply";
    const address = IpAddress.parse(this.#target.host);
    if (address === null) return failed("only addresses are connected to");
    const port = Buffer.alloc(2);
    port.writeUInt16BE(this.#target.port);
    const head = Buffer.from([version, 1, 0, address.family === 4 ? 1 : 4]);
    return { kind: "send", bytes: Buffer.concat([head, address.bytes, port]) };
  }
}

function passwordOf({ username, password }: Credentials): Buffer {
  const [name, word] = [Buffer.from(username), Buffer.from(password)];
  return Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([word.length]), word]);
}

function reply(bytes: Buffer): Step {
  const [first, code, , type] = bytes;
  if (first !== version) return failed("it does not speak SOCKS 5");
  if (code === 3) return failed(null, "network-unreachable");
  if (code === 4) return failed(null, "host-unreachable");
  if (code === 5) return failed(null, "refused");
  if (code === 6) return failed(null, "timeout");
  if (code !== 0) return failed(`it could not connect (${code ?? 0})`);
  if (type === undefined) return more;
  // 3: a name, with its length before it.
  const rest = type === 3 ? (bytes[4] === undefined ? null : 1 + bytes[4] + 2) : boundBytes[type];
  if (rest === undefined) return failed("its reply has an address of no known kind");
  return rest === null || bytes.length < 4 + rest ? more : { kind: "done", used: 4 + rest };
}
