import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { after, afterEach, before, test } from "node:test";
import { HttpError, ImageError } from "../../src/errors/index.ts";
import type { PullProgress } from "../../src/image/pull/pull-progress.ts";
import { pullImage } from "../../src/image/pull/pull.ts";
import type { PullOptions } from "../../src/image/pull/pull-options.ts";
import type { PulledImage } from "../../src/image/stored.ts";
import { pruneImages } from "../../src/image/store/manage.ts";
import type { Home } from "../../src/store/home.ts";
import { image, layer, newHome, noise, push, scratch, sha256, type BuiltImage } from "./images.ts";
import { MisbehavingProxy } from "./misbehaving-proxy.ts";
import { RegistryServer } from "./registry-server.ts";

const run = promisify(execFile);
const quick = { attempts: 4, baseMs: 5, maximumMs: 60 };

let directory: Awaited<ReturnType<typeof scratch>>;
let server: RegistryServer;
let proxy: MisbehavingProxy;
let built: BuiltImage;
let big: string;
let reference: string;

before(async () => {
  directory = await scratch();
  server = await RegistryServer.start(directory.path);
  proxy = await MisbehavingProxy.start(server.host);
  built = image([await layer({ big: noise(6_000_000) }), await layer({ small: "1" })]);
  big = built.layers[0]?.blob.digest ?? "";
  await push(built, `${server.host}/app:1`);
  reference = `${proxy.host}/app:1`;
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
  return pullImage(reference, { home, environment: {}, retry: quick, silenceMs: 20_000, ...options });
}

const isBig = ({ path }: { path: string }): boolean => path.endsWith(`/blobs/${big}`);

test("a connection that breaks again and again is resumed where it broke", async () => {
  const home = await newHome(directory.path);
  const cut = 1_000_000;
  proxy.misbehave = (request, _response, forward) => {
    if (!isBig(request)) return false;
    forward(cut);
    return true;
  };
  const pulled = await pull(home);
  assert.equal(pulled.manifestDigest, built.manifest.digest);
  const ranges = proxy.seen.filter(isBig).map(({ headers }) => headers.range);
  // Six million bytes in pieces of one million: more breaks than there are tries without progress.
  assert.ok(ranges.length >= 6, String(ranges.length));
  assert.equal(ranges[0], undefined);
  const starts = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")?.[1]));
  starts.forEach((start, i) => {
    // The last bytes before a break may be lost with the connection.
    const step = start - (starts[i - 1] ?? start - 1);
    assert.ok(step > 0 && step <= cut, String(starts));
  });
  // The registry has said which bytes they are, so they are asked for by that name.
  assert.match(String(proxy.seen.filter(isBig)[1]?.headers["if-range"]), /^"sha256:/);
});

test("a server that knows no ranges is read from the start again", async () => {
  const home = await newHome(directory.path);
  let times = 0;
  proxy.misbehave = (request, _response, forward) => {
    if (!isBig(request)) return false;
    delete request.headers.range;
    times += 1;
    forward(times === 1 ? 2_000_000 : undefined);
    return true;
  };
  await pull(home);
  assert.equal(times, 2);
});

test("a puller that is killed leaves nothing trusted, and the next one resumes", async () => {
  const home = await newHome(directory.path);
  const resuming = Promise.withResolvers<undefined>();
  proxy.misbehave = (request, _response, forward) => {
    if (!isBig(request)) return false;
    // Almost half of it, and then no answer at all, so that the killing surely comes in the middle.
    if (request.headers.range === undefined) forward(2_500_000);
    else resuming.resolve(undefined);
    return true;
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, "pull-main.ts"), reference], {
    env: { ...process.env, MSB_HOME: home.root },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await resuming.promise;
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));

  const partial = join(home.images, "ingest", big.replace(":", "-"));
  const left = (await stat(partial)).size;
  assert.ok(left > 0 && left <= 2_500_000, String(left));
  assert.ok(!(await readdir(join(home.images, "blobs", "sha256"))).includes(big.slice(7)));
  await assert.rejects(pull(home, { policy: "never" }), ImageError);

  proxy.misbehave = () => false;
  proxy.seen.length = 0;
  await pull(home);
  assert.equal(proxy.seen.find(isBig)?.headers.range, `bytes=${left}-`);
  // A lock of the killed process may be left beside the name of a blob that it had completed; prune takes it.
  const unfinished = (await readdir(join(home.images, "ingest"))).filter((name) => !name.endsWith(".lock"));
  assert.deepEqual(unfinished, []);
});

test("a puller that is killed at any stage leaves only whole blobs and no half image", async () => {
  const kinds: readonly PullProgress["kind"][] = [
    "resolving",
    "resolved",
    "layerDownloadProgress",
    "layerDownloadVerifying",
    "layerMaterializeStarted",
    "layerMaterializeProgress",
    "layerMaterializeComplete",
    "stitchWritingFsmeta",
    "stitchComplete",
  ];
  for (const kind of kinds) {
    const home = await newHome(directory.path);
    const child = spawn(process.execPath, [join(import.meta.dirname, "pull-main.ts"), reference], {
      env: { ...process.env, MSB_HOME: home.root },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    createInterface({ input: child.stdout }).on("line", (line) => {
      if ((JSON.parse(line) as PullProgress).kind === kind) child.kill("SIGKILL");
    });
    await ended;
    const blobs = join(home.images, "blobs", "sha256");
    for (const name of await readdir(blobs).catch(() => [])) {
      assert.equal(sha256(await readFile(join(blobs, name))), `sha256:${name}`, kind);
    }
    const { rootFileSystem } = await pull(home);
    await run("fsck.erofs", [rootFileSystem.path]);
    // The leftovers go with the next one that works in the same place, or with prune.
    await pruneImages(home, () =>
      Promise.resolve([{ user: { kind: "sandbox", name: "x" }, reference, manifestDigest: null }]),
    );
    for (const place of ["ingest", "leases"])
      assert.deepEqual(await readdir(join(home.images, place)), [], kind);
    assert.equal((await readdir(join(home.images, "rootfs"))).length, 1, kind);
  }
});

test("a part that was damaged meanwhile is found out and fetched again", async () => {
  const home = await newHome(directory.path);
  const stop = new AbortController();
  await assert.rejects(
    pull(home, {
      signal: stop.signal,
      onProgress: (event) => {
        if (event.kind === "layerDownloadProgress" && event.digest === big) stop.abort(new Error("enough"));
      },
    }),
    /enough/,
  );
  await writeFile(join(home.images, "ingest", big.replace(":", "-")), Buffer.alloc(1_500_000, 7));
  proxy.seen.length = 0;
  await pull(home);
  assert.deepEqual(
    proxy.seen.filter(isBig).map(({ headers }) => headers.range),
    ["bytes=1500000-", undefined],
  );
});

test("429 and 503 are answered with patience, as long as the server asks for", async () => {
  const home = await newHome(directory.path);
  const answers = new Map<string, number>();
  const times: number[] = [];
  proxy.misbehave = (request, response) => {
    if (request.path === "/v2/") return false;
    const earlier = answers.get(request.path) ?? 0;
    answers.set(request.path, earlier + 1);
    if (isBig(request)) times.push(performance.now());
    if (earlier >= 2) return false;
    response.writeHead(earlier === 0 ? 429 : 503, earlier === 0 ? { "retry-after": "1" } : {}).end();
    return true;
  };
  await pull(home, { retry: { attempts: 4, baseMs: 5, maximumMs: 300 } });
  // Retry-After asks for a second; the policy of this test allows 300 ms.
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 290, String(times));
});

test("patience ends", async () => {
  const home = await newHome(directory.path);
  proxy.misbehave = (request, response) => {
    if (request.path === "/v2/") return false;
    response.writeHead(503).end();
    return true;
  };
  await assert.rejects(pull(home), (error) => {
    assert.ok(error instanceof HttpError);
    assert.match(error.message, /answered 503/);
    return true;
  });
  assert.equal(proxy.seen.filter(({ path }) => path !== "/v2/").length, quick.attempts);
});

test("a server that falls silent is not waited for for ever", async () => {
  const home = await newHome(directory.path);
  proxy.misbehave = (request, response) => {
    if (!isBig(request)) return false;
    response.writeHead(200, { "content-length": String(built.layers[0]?.blob.size) });
    response.flushHeaders();
    return true;
  };
  await assert.rejects(
    pull(home, { silenceMs: 200, retry: { attempts: 2, baseMs: 5, maximumMs: 10 } }),
    HttpError,
  );
});

test("a pull can be given up while it waits", async () => {
  const home = await newHome(directory.path);
  const stop = new AbortController();
  proxy.misbehave = (request, response) => {
    if (!isBig(request)) return false;
    response.flushHeaders();
    stop.abort(new Error("given up"));
    return true;
  };
  await assert.rejects(pull(home, { signal: stop.signal }), /given up/);
  // The name is free for the next one at once.
  proxy.misbehave = () => false;
  await pull(home);
});

test("no credentials follow a redirect to another host", async () => {
  const home = await newHome(directory.path);
  await using elsewhere = await MisbehavingProxy.start(server.host);
  proxy.misbehave = (request, response) => {
    if (request.headers.authorization === undefined && request.path !== "/v2/") {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    }
    if (!request.path.includes("/blobs/")) return false;
    response
      .writeHead(307, { location: `http://user:secret@${elsewhere.host}${request.path}?signed=1` })
      .end();
    return true;
  };
  await pull(home, { registry: { auth: { kind: "basic", username: "u", password: "p" } } });
  assert.equal(elsewhere.seen.length, 3);
  for (const { headers, path } of elsewhere.seen) {
    assert.equal(headers.authorization, undefined);
    assert.ok(path.endsWith("?signed=1"));
  }
});

test("redirects in a circle end, and none leaves for a place without TLS or that is no place", async () => {
  const home = await newHome(directory.path);
  for (const [location, message] of [
    ["/v2/app/manifests/1", /more than 8 times/],
    ["", /redirects to nowhere|more than 8/],
    ["file:///etc/passwd", /redirects to nowhere/],
  ] as const) {
    proxy.misbehave = (request, response) => {
      if (request.path === "/v2/") return false;
      response.writeHead(302, { location }).end();
      return true;
    };
    await assert.rejects(pull(home), (error) => {
      assert.ok(error instanceof HttpError);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("a registry that is not there is named", async () => {
  const home = await newHome(directory.path);
  const gone = await MisbehavingProxy.start(server.host);
  const { host } = gone;
  await gone[Symbol.asyncDispose]();
  await assert.rejects(pullImage(`${host}/app`, { home, environment: {}, retry: quick }), (error) => {
    assert.ok(error instanceof HttpError);
    assert.ok(error.message.includes(host));
    assert.match(error.hint, /runs/);
    return true;
  });
});

test("an interrupted pull leaves what arrived for the next one, a refused one leaves nothing", async () => {
  const small = built.layers[1]?.blob.digest ?? "";
  for (const [status, stays] of [
    [null, true],
    [503, true],
    [400, false],
    [403, false],
    [404, false],
  ] as const) {
    const home = await newHome(directory.path);
    proxy.misbehave = ({ path }, response) => {
      if (!path.endsWith(`/blobs/${small}`)) return false;
      if (status === null) response.destroy();
      else response.writeHead(status).end();
      return true;
    };
    // One after the other, so that the first one has arrived.
    await assert.rejects(pull(home, { parallelLayers: 1 }));
    const left = await readdir(join(home.images, "blobs", "sha256"));
    assert.equal(left.includes(big.slice(7)), stays, String(status));
    if (!stays) assert.deepEqual(left, [], String(status));
  }
});
