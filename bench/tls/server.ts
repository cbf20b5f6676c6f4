/**
 * The server that is asked, HTTP/1.1 and HTTP/2: `node server.ts CERTIFICATE KEY`. Prints its port; ends with its input.
 *
 *     GET  /small          64 bytes
 *     GET  /secret         the same, for who has the secret
 *     GET  /down?bytes=N   so many, 64 KiB in a write
 *     PUT  /up             takes what comes, and says how much it was
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { secretValue } from "./names.ts";

const [cert = "", key = ""] = process.argv.slice(2);
const small = Buffer.alloc(64, "s");
const piece = Buffer.alloc(64 * 1024, "d");

async function down(bytes: number, response: Http2ServerResponse): Promise<void> {
  response.writeHead(200, { "content-length": bytes });
  const over = once(response, "close");
  for (let left = bytes; left > 0 && !response.destroyed; left -= piece.length)
    if (!response.write(left < piece.length ? piece.subarray(0, left) : piece))
      await Promise.race([once(response, "drain"), over]);
  response.end();
}

async function up(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
  let count = 0;
  for await (const chunk of request) count += (chunk as Buffer).length;
  response.end(`${count}\n`);
}

async function answer(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url, "https://any");
  if (pathname === "/down") await down(Number(searchParams.get("bytes")), response);
  else if (pathname === "/up") await up(request, response);
  else {
    const isKnown = pathname !== "/secret" || request.headers.authorization === `Bearer ${secretValue}`;
    response.writeHead(isKnown ? 200 : 401, { "content-length": small.length }).end(small);
  }
}

const server = createSecureServer(
  { cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: true },
  (request, response) => {
    // Who leaves in the middle has had enough.
    answer(request, response).catch(() => response.destroy());
  },
);
server.on("sessionError", () => undefined);
server.on("tlsClientError", () => undefined);
server.listen(0, "127.0.0.1", 4096);
await once(server, "listening");
console.log((server.address() as AddressInfo).port);
process.stdin.resume().once("end", () => process.exit());
