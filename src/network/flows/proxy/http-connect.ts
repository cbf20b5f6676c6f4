import { failed, more, type HandshakeFor } from "./handshake.ts";
import type { Credentials } from "../../../config/network/proxy/proxy-credentials.ts";

/** More than a head that a proxy sends to a program. */
const maxHeadBytes = 16 * 1024;
const endOfHead = Buffer.from("\r\n\r\n");

/** HTTP CONNECT (RFC 9110, 9.3.6). */
export function httpConnect(credentials: Credentials | null): HandshakeFor {
  return ({ host, port, family }) => {
    const authority = `${family === 6 ? `[${host}]` : host}:${port}`;
    const basic =
      credentials === null
        ? ""
        : `Proxy-Authorization: Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}\r\n`;
    return {
      opening: Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${basic}\r\n`),
      next: (bytes) => {
        const end = bytes.indexOf(endOfHead);
        if (end < 0) return bytes.length > maxHeadBytes ? failed("its answer has no end") : more;
        const status = /^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(bytes.toString("latin1", 0, 64))?.[1];
        if (status === undefined) return failed("it does not speak HTTP");
        if (status.startsWith("2")) return { kind: "done", used: end + endOfHead.length };
        if (status === "407") return failed("it wants another name and password (407)", "refused");
        // Gateway errors are the other end's.
        if (/^50[234]$/.test(status)) return failed(null, status === "504" ? "timeout" : "refused");
        return failed(`it answered ${status}`, "refused");
      },
    };
  };
}
