import { IpAddress } from "../../../host/ip/address.ts";
import { failed, more, type Handshake, type HandshakeFor } from "./handshake.ts";

const replyBytes = 8;
const granted = 90;
/** Or the other end could not be had. */
const rejected = 91;

/** SOCKS 4 (https://www.openssh.com/txt/socks4.protocol): knows IPv4 addresses only. */
export function socks4(userId: string | null): HandshakeFor {
  return (target): Handshake | null => {
    const address = IpAddress.parse(target.host);
    if (address?.family !== 4) return null;
    const port = Buffer.alloc(2);
    port.writeUInt16BE(target.port);
    return {
      opening: Buffer.concat([
        Buffer.from([4, 1]),
        port,
        address.bytes,
        Buffer.from(userId ?? "", "utf8"),
        Buffer.from([0]),
      ]),
      next: (bytes) => {
        if (bytes.length < replyBytes) return more;
        if (bytes[0] !== 0) return failed("it does not speak SOCKS 4");
        return bytes[1] === granted
          ? { kind: "done", used: replyBytes }
          : failed(
              bytes[1] === rejected ? null : `it wants to know who connects (${bytes[1] ?? 0})`,
              "refused",
            );
      },
    };
  };
}
