import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { HttpError, ImageError } from "../../src/errors/index.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import type { Home } from "../../src/store/home.ts";
import { image, layer, newHome, noise, push, scratch, type Blob, type BuiltImage } from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

/** A registry that answers every request, and never so that the transfer comes to an end. */

const quick = { attempts: 3, baseMs: 5, maximumMs: 50 };

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let proxy: MisbehavingProxy;
let built: BuiltImage;
let blob: Blob;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  proxy = await MisbehavingProxy.start(server.host);
  const only = await layer({ a: noise(300_000) });
  blob = only.blob;
  built = image([only]);
  await push(built, `${server.host}/app:1`);
});

afterEach(() => {
  proxy.misbehave = () => false;
  proxy.seen.length = 0;
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function pull(home: Home, options: Partial<PullOptions> = {}): Promise<PulledImage> {
  return pullImage(`${proxy.host}/app:1`, {
    home,
    environment: {},
    retry: quick,
    silenceMs: 20_000,
    ...options,
  });
}

const isBlob = ({ path }: { path: string }): boolean => path.endsWith(`/blobs/${blob.digest}`);

test("a manifest that is cut off is asked for again", async () => {
  const home = await newHome(directory.path);
  let cuts = 0;
  proxy.misbehave = (request, _response, forward) => {
    if (request.method !== "GET" || !request.path.includes("/manifests/") || cuts === 2) return false;
    cuts += 1;
    forward(50);
    return true;
  };
  assert.equal((await pull(home)).manifestDigest, built.manifest.digest);
  assert.equal(cuts, 2);
});

test("a manifest that is always cut off is an error", async () => {
  const home = await newHome(directory.path);
  proxy.misbehave = (request, _response, forward) => {
    if (!request.path.includes("/manifests/")) return false;
    forward(50);
    return true;
  };
  await assert.rejects(pull(home), HttpError);
  assert.equal(proxy.seen.filter(({ path }) => path.includes("/manifests/")).length, quick.attempts);
});

test("a server that breaks off and then continues somewhere else is given up on", async () => {
  const home = await newHome(directory.path);
  proxy.misbehave = (request, response, forward) => {
    if (!isBlob(request)) return false;
    if (request.headers.range === undefined) forward(200_000);
    else response.writeHead(206, { "content-range": `bytes 0-3/${blob.size}` }).end("abcd");
    return true;
  };
  await assert.rejects(pull(home), HttpError);
  // The first bytes count once, however often they come.
  assert.ok(proxy.seen.filter(isBlob).length <= 2 * quick.attempts, String(proxy.seen.length));
});

test("a server that brings a byte with each connection is given up on, and its bytes are kept", async () => {
  const home = await newHome(directory.path);
  proxy.misbehave = (request, response) => {
    if (!isBlob(request)) return false;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const total = String(blob.size);
    if (start > 0) response.writeHead(206, { "content-range": `bytes ${start}-${start}/${total}` });
    else response.writeHead(200, { "content-length": total });
    response.write(blob.bytes.subarray(start, start + 1), () => response.destroy());
    return true;
  };
  await assert.rejects(pull(home), (error) => error instanceof HttpError || error instanceof ImageError);
  assert.equal(proxy.seen.filter(isBlob).length, quick.attempts);
  assert.deepEqual(await readdir(join(home.images, "ingest")), [blob.digest.replace(":", "-")]);
  proxy.misbehave = () => false;
  assert.equal((await pull(home)).manifestDigest, built.manifest.digest);
});
