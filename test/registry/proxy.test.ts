import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createServer, request as httpRequest, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { HttpError } from "../../src/errors/index.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { image, layer, newHome, push, scratch, type BuiltImage } from "./images.ts";
import { RegistryServer } from "./registry-server.ts";

const quick = { attempts: 2, baseMs: 5, maximumMs: 20 };
/** A name that no resolver knows (RFC 6761, 6.2): only by the proxy is anything behind it. */
const name = "registry.test";

let directory: Awaited<ReturnType<typeof scratch>>;
let certificates: Certificates;
let secure: RegistryServer;
let plain: RegistryServer;
let built: BuiltImage;

before(async () => {
  directory = await scratch();
  certificates = await makeCertificates(directory.path);
  const tls = `{certificate: ${certificates.certFile}, key: ${certificates.keyFile}}`;
  built = image([await layer({ a: "a" })]);
  secure = await RegistryServer.start(directory.path, { tls });
  await push(built, `${secure.host}/app:1`);
  const second = join(directory.path, "plain");
  await mkdir(second);
  plain = await RegistryServer.start(second);
  await push(built, `${plain.host}/app:1`);
});

after(async () => {
  await secure[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** A forward proxy behind which every name is one of our registries. */
class ForwardProxy implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(credentials: string | null) {
    const expected =
      credentials === null ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`;
    this.#server = createServer((request, response) => {
      this.seen.push(`${request.method ?? ""} ${request.url ?? ""}`);
      if (request.headers["proxy-authorization"] !== expected) {
        response.writeHead(407).end();
        return;
      }
      const { pathname } = new URL(request.url ?? "");
      const sent = httpRequest(`http://${plain.host}${pathname}`, {
        method: request.method,
        headers: request.headers,
      });
      sent.on("response", (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      sent.on("error", () => response.destroy());
      sent.end();
    });
    this.#server.on("connect", (request, socket: Socket) => {
      this.seen.push(`CONNECT ${request.url ?? ""}`);
      if (request.headers["proxy-authorization"] !== expected) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        return;
      }
      const [host = "", port = ""] = secure.host.split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(upstream).pipe(socket);
      });
      for (const one of [socket, upstream]) {
        this.#sockets.add(one);
        one.on("error", () => one.destroy());
        one.on("close", () => this.#sockets.delete(one));
      }
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function pull(options: Partial<PullOptions>): Promise<PulledImage> {
  const home = await newHome(directory.path);
  return pullImage(`${name}/app:1`, { home, retry: quick, ...options });
}

test("a registry behind a proxy is reached by CONNECT, and its certificate is verified all the same", async () => {
  await using proxy = new ForwardProxy("me:p@ss");
  const address = await proxy.start();
  const environment = { HTTPS_PROXY: `http://me:p%40ss@${address}`, HOME: "/nonexistent" };
  const registry = { caCertificates: [certificates.caPem] };
  assert.equal((await pull({ environment, registry })).manifestDigest, built.manifest.digest);
  assert.ok(proxy.seen.length > 0);
  assert.ok(proxy.seen.every((line) => line === `CONNECT ${name}:443`));
  await assert.rejects(pull({ environment }), (error) => {
    assert.ok(error instanceof HttpError);
    assert.match(error.hint, /caCerts/);
    return true;
  });
  const wrong = { HTTPS_PROXY: `http://me:no@${address}` };
  await assert.rejects(pull({ environment: wrong, registry }), (error) => {
    assert.ok(error instanceof HttpError);
    assert.match(error.message, /answered 407/);
    assert.ok(!error.message.includes("me:no"));
    return true;
  });
});

test("an insecure registry behind a proxy is asked in the absolute form", async () => {
  await using proxy = new ForwardProxy(null);
  const environment = { HTTP_PROXY: await proxy.start(), HOME: "/nonexistent" };
  const pulled = await pull({ environment, registry: { insecure: true } });
  assert.equal(pulled.manifestDigest, built.manifest.digest);
  assert.ok(
    proxy.seen.every((line) => line.includes(` http://${name}/v2/`)),
    proxy.seen.join("\n"),
  );
});
