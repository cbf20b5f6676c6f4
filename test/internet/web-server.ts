import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { createHash } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { join, normalize } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Certificates } from "../registry/certificates.ts";
import { ports } from "./places.ts";
import type { Tree } from "./tree-programs.ts";

export interface Visit {
  /** Whom the visitor wanted: the address at which it came. */
  readonly at: string;
  readonly port: number;
  readonly from: string;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  /** Of TLS; null without. */
  readonly serverName: string | null;
}

/** Bytes that anybody can check: each is its place modulo 251. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index++) bytes[index] = index % 251;
  return bytes;
}

/**
 * HTTP and HTTPS at every address: files of the packages, git repositories, `/bytes/COUNT`, `/count` (what came, and its SHA-256), `/slow`
 * (a line at once and one when asked for), `/hello`, which names the address and the host that were asked for.
 */
export class WebServer implements AsyncDisposable {
  readonly visits: Visit[] = [];
  readonly #tree: Tree;
  readonly #servers: Server[] = [];

  private constructor(tree: Tree) {
    this.#tree = tree;
  }

  static async start(tree: Tree, certificates: Certificates): Promise<WebServer> {
    const web = new WebServer(tree);
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      web.#answer(request, response).catch(() => response.destroy());
    };
    const tls = { cert: await readFile(certificates.certFile), key: await readFile(certificates.keyFile) };
    web.#servers.push(createHttp(answer), createHttps(tls, answer));
    for (const [index, port] of [ports.http, ports.https].entries()) {
      const server = web.#servers[index];
      server?.listen(port, "::");
      if (server !== undefined) await once(server, "listening");
    }
    return web;
  }

  takeVisits(): Visit[] {
    return this.visits.splice(0);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { address: at, port } = request.socket.address() as AddressInfo;
    const servername = (request.socket as Socket & { servername?: string | false }).servername;
    const url = new URL(request.url ?? "/", "http://internet");
    const path = normalize(decodeURIComponent(url.pathname));
    const visit: Visit = {
      at: at.replace(/^::ffff:/, ""),
      port,
      from: (request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
      host: request.headers.host ?? "",
      method: request.method ?? "",
      path: url.pathname,
      serverName: typeof servername === "string" ? servername : null,
    };
    this.visits.push(visit);
    if (path === "/hello") {
      response.end(`hello from ${visit.at} as ${visit.host}\n`);
      return;
    }
    if (path.startsWith("/bytes/")) {
      const count = Number(path.slice("/bytes/".length));
      response.setHeader("content-length", count);
      const part = pattern(251 * 261);
      const parts = function* (): Generator<Buffer> {
        for (let left = count; left > 0; left -= part.length)
          yield left >= part.length ? part : part.subarray(0, left);
      };
      await pipeline(Readable.from(parts()), response);
      return;
    }
    if (path === "/count") {
      const hash = createHash("sha256");
      let count = 0;
      for await (const chunk of request) {
        count += (chunk as Buffer).length;
        hash.update(chunk as Buffer);
      }
      response.end(`${count} ${hash.digest("hex")}\n`);
      return;
    }
    if (path.startsWith("/git/")) {
      await this.#git(request, response, url);
      return;
    }
    await this.#file(response, path);
  }

  async #file(response: ServerResponse, path: string): Promise<void> {
    let file = join(this.#tree.root, "srv/www", path);
    if ((await stat(file).catch(() => null))?.isDirectory() === true) file = join(file, "index.html");
    const content = await readFile(file).catch(() => null);
    if (content === null) {
      response.statusCode = 404;
      response.end("there is no such file\n");
      return;
    }
    if (file.endsWith(".html")) response.setHeader("content-type", "text/html");
    if (path === "/npm/small") response.setHeader("content-type", "application/json");
    response.end(content);
  }

  /** CGI (RFC 3875), as `git http-backend` wants it. */
  async #git(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const backend = this.#tree.spawn(["git", "http-backend"], {
      environment: {
        HOME: "/srv",
        GIT_PROJECT_ROOT: "/srv/git",
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: request.method ?? "",
        PATH_INFO: url.pathname.slice("/git".length),
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        CONTENT_LENGTH: request.headers["content-length"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
        REMOTE_ADDR: request.socket.remoteAddress ?? "",
      },
    });
    const { stdin, stdout } = backend;
    if (stdin === null || stdout === null) throw new Error("git has no pipes");
    backend.stderr?.resume();
    const sent = pipeline(request, stdin).catch(() => undefined);
    let head = Buffer.alloc(0);
    for await (const chunk of stdout) {
      if (response.headersSent) {
        if (!response.write(chunk)) await once(response, "drain");
        continue;
      }
      head = Buffer.concat([head, chunk as Buffer]);
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) continue;
      for (const line of head.subarray(0, end).toString().split("\r\n")) {
        const [name = "", value = ""] = line.split(/: */, 2);
        if (name.toLowerCase() === "status") response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.write(head.subarray(end + 4));
    }
    await sent;
    response.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    }
  }
}
