import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { HttpError, ImageError } from "../../src/errors/index.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import { makeCertificates, type Certificates } from "./certificates.ts";
import { newHome, scratch } from "./images.ts";

const quick = { attempts: 1, baseMs: 1, maximumMs: 1 };

let directory: Awaited<ReturnType<typeof scratch>>;
let certificates: Certificates;

before(async () => {
  directory = await scratch();
  certificates = await makeCertificates(directory.path);
});

after(() => directory[Symbol.asyncDispose]());

/** A server with a certificate that nobody here trusts. */
class Untrusted implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #server: Server;
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) =>
    response.end("{}");

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Untrusted> {
    const { keyFile, certFile } = certificates;
    const server = createServer({ key: await readFile(keyFile), cert: await readFile(certFile) });
    const untrusted = new Untrusted(server);
    server.on("request", (request, response) => {
      untrusted.seen.push(request.url ?? "");
      untrusted.answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return untrusted;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function pull(host: string): Promise<PulledImage> {
  const home = await newHome(directory.path);
  const registry = { insecure: true };
  return pullImage(`${host}/app:1`, { home, environment: {}, retry: quick, registry });
}

const isManifest = ({ url = "" }: IncomingMessage): boolean => url.includes("/manifests/");

for (const [what, answer] of [
  [
    "where it redirects",
    (response: ServerResponse, elsewhere: string) =>
      response.writeHead(307, { location: `https://${elsewhere}/app` }).end(),
  ],
  [
    "its token service",
    (response: ServerResponse, elsewhere: string) =>
      response.writeHead(401, { "www-authenticate": `Bearer realm="https://${elsewhere}/token"` }).end(),
  ],
] as const) {
  test(`insecure() is about the registry: ${what} has its certificate verified`, async () => {
    await using registry = await Untrusted.start();
    await using elsewhere = await Untrusted.start();
    registry.answer = (request, response) => {
      if (isManifest(request)) answer(response, elsewhere.host);
      else response.end("{}");
    };
    await assert.rejects(pull(registry.host), (error) => {
      assert.ok(error instanceof HttpError, String(error));
      assert.ok(error.message.includes(elsewhere.host), error.message);
      assert.match(error.hint, /certificate/);
      return true;
    });
    assert.ok(registry.seen.some((path) => path.includes("/manifests/")));
    assert.deepEqual(elsewhere.seen, []);
  });
}

test("a manifest without an end is read no further than a manifest can be long", async () => {
  await using registry = await Untrusted.start();
  const closed = Promise.withResolvers<undefined>();
  registry.answer = (request, response) => {
    if (!isManifest(request)) {
      response.end("{}");
      return;
    }
    response.on("close", () => closed.resolve(undefined));
    const piece = Buffer.alloc(1 << 18, 32);
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
      response.once("drain", more);
    };
    more();
  };
  await assert.rejects(pull(registry.host), (error) => {
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, /longer than 4 MiB/);
    return true;
  });
  await closed.promise;
});
