/** `msb dashboard` as a server: who is answered. What the page shows is in `test/vm/dashboard/`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { WebSocket } from "ws";
import { serveDashboard, type Dashboard } from "../../src/dashboard/dashboard.ts";

const home = mkdtempSync(join(tmpdir(), "msb-test-"));
process.env["MSB_HOME"] = home;
const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

let dashboard: Dashboard;
let token: string;
before(async () => {
  dashboard = await serveDashboard();
  token = dashboard.url.split("#token=")[1] ?? "";
});
after(async () => {
  await dashboard[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  { method = "GET", body = "" } = {},
): Promise<Answer> {
  const asked = request({ host: "127.0.0.1", port: dashboard.port, path, method, headers });
  asked.end(body);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}

const check = { method: "POST", body: "{}" };
const authorized = (): Record<string, string> => ({
  Authorization: `Bearer ${token}`,
  "Content-Length": "2",
});

test("the page is given to everybody, with headers that keep others' scripts and frames out of it", async () => {
  const { status, headers } = await ask("/");
  assert.equal(status, 200);
  const policy = headers["content-security-policy"] ?? "";
  assert.match(String(policy), /default-src 'none'; script-src 'self'; style-src 'self' 'nonce-/);
  assert.match(String(policy), /frame-ancestors 'none'; require-trusted-types-for 'script'/);
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["cache-control"], "no-store");
  assert.notEqual((await ask("/")).headers["content-security-policy"], policy, "a nonce is used once");
  for (const path of ["/app.js", "/app.css", "/icon.svg"]) assert.equal((await ask(path)).status, 200, path);
});

test("all else needs the token, which is no part of an address", async () => {
  const call = "/api/session.check";
  assert.equal((await ask(call, authorized(), check)).status, 200);
  assert.equal((await ask(call, { "Content-Length": "2" }, check)).status, 401);
  assert.equal((await ask(call, { ...authorized(), Authorization: "Bearer x" }, check)).status, 401);
  assert.equal((await ask(`${call}?token=${token}`, { "Content-Length": "2" }, check)).status, 401);
  assert.equal((await ask("/file?sandbox=demo&path=Lw")).status, 401);
  assert.equal((await ask("/nothing")).status, 401);
});

test("other hosts and origins are refused, even with the token", async () => {
  const call = "/api/session.check";
  const rebound = { ...authorized(), Host: `evil.example:${String(dashboard.port)}` };
  assert.equal((await ask(call, rebound, check)).status, 403);
  assert.equal((await ask("/", { Host: "evil.example" })).status, 403, "not even the page");
  assert.equal((await ask(call, { ...authorized(), Origin: "http://evil.example" }, check)).status, 403);
  assert.equal((await ask(call, { ...authorized(), "Sec-Fetch-Site": "cross-site" }, check)).status, 403);
  const asked = await ask(call, { Origin: "http://evil.example" }, { method: "OPTIONS", body: "" });
  assert.equal(asked.headers["access-control-allow-origin"], undefined);
});

test("what is no call, or has wrong arguments, is an error that says so", async () => {
  const call = async (name: string, args: string): Promise<Answer> =>
    await ask(
      `/api/${name}`,
      { ...authorized(), "Content-Length": String(args.length) },
      { ...check, body: args },
    );
  assert.equal((await call("nothing", "{}")).status, 404);
  assert.equal((await call("constructor", "{}")).status, 404);
  assert.equal((await call("sandbox.get", "{}")).status, 400);
  assert.equal((await call("sandbox.get", "{")).status, 400);
  assert.equal((await call("sandbox.get", '{"name":"none","more":1}')).status, 400);
  assert.match((await call("sandbox.get", '{"name":"none"}')).body, /"code":"sandboxNotFound"/);
  const { Authorization = "" } = authorized();
  assert.equal((await ask("/api/session.check", { Authorization })).status, 404, "GET");
  assert.equal((await ask("/file?sandbox=none&path=Lw", { Authorization })).status, 404);
});

async function open(path: string, protocols: string[], origin: string): Promise<number | "open"> {
  const socket = new WebSocket(`ws://127.0.0.1:${String(dashboard.port)}${path}`, protocols, { origin });
  socket.on("error", () => undefined);
  return await new Promise((resolve) => {
    socket.once("open", () => {
      resolve("open");
      socket.terminate();
    });
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode ?? 0));
  });
}

test("a WebSocket needs the token too, and the page's own origin", async () => {
  const origin = `http://127.0.0.1:${String(dashboard.port)}`;
  const right = ["msb", `msb.token.${token}`];
  assert.equal(await open("/live", right, origin), "open");
  assert.equal(await open("/live", ["msb", "msb.token.wrong"], origin), 401);
  assert.equal(await open("/terminal", ["msb"], origin), 401);
  assert.equal(await open("/live", right, "http://evil.example"), 403);
  assert.equal(await open(`/live?token=${token}`, ["msb"], origin), 401);
  assert.equal(await open("/nothing", right, origin), 404);
});

test("a page that is not understood is hung up on", async () => {
  for (const message of ["{", '{"watch":1,"topic":"nothing","args":{}}', Buffer.from("{}")]) {
    const socket = new WebSocket(
      `ws://127.0.0.1:${String(dashboard.port)}/live`,
      ["msb", `msb.token.${token}`],
      { origin: `http://127.0.0.1:${String(dashboard.port)}` },
    );
    await once(socket, "open");
    socket.send(message);
    assert.deepEqual((await once(socket, "close"))[0], 1008);
  }
});

test("sandboxes that cannot be listed are told of, and shown when they can", async () => {
  process.env["MSB_HOME"] = join(home, "none");
  mkdirSync(join(home, "none"));
  writeFileSync(join(home, "none/sandboxes"), "no directory");
  const socket = new WebSocket(
    `ws://127.0.0.1:${String(dashboard.port)}/live`,
    ["msb", `msb.token.${token}`],
    { origin: `http://127.0.0.1:${String(dashboard.port)}` },
  );
  try {
    await once(socket, "open");
    const told = async (): Promise<unknown> => {
      const [message] = (await once(socket, "message")) as [Buffer];
      return JSON.parse(message.toString());
    };
    const first = told();
    socket.send('{"watch":1,"topic":"sandboxes","args":{}}');
    assert.partialDeepStrictEqual(await first, { news: { all: true, problem: { code: "io" } } });
    const second = told();
    process.env["MSB_HOME"] = home;
    assert.partialDeepStrictEqual(await second, { news: { all: true, rows: [], problem: null } });
  } finally {
    process.env["MSB_HOME"] = home;
    socket.terminate();
  }
});

test("the page is small: at most 400 KB, compressed", async () => {
  let bytes = 0;
  for (const path of ["/", "/app.js", "/app.css", "/icon.svg"]) {
    const response = await fetch(`http://127.0.0.1:${String(dashboard.port)}${path}`);
    bytes += gzipSync(await response.bytes()).length;
  }
  assert.ok(bytes > 10_000 && bytes <= 400_000, `${String(bytes)} bytes`);
});

test("a port that is taken is told of, with what to do", async () => {
  await assert.rejects(serveDashboard(dashboard.port), {
    code: "io",
    message: /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    hint: /--port/,
  });
});

test("msb dashboard prints its address, and ends when it is interrupted", async () => {
  const child = spawn(process.execPath, [program, "dashboard"], { stdio: ["ignore", "pipe", "ignore"] });
  child.stdout.setEncoding("utf8");
  const [printed] = (await once(child.stdout, "data")) as [string];
  const [, address, given] = /^(http:\/\/127\.0\.0\.1:\d+\/)#token=([\w-]{43})\n$/.exec(printed) ?? [];
  assert.ok(address !== undefined && given !== undefined, printed);
  assert.notEqual(given, token);
  assert.equal((await fetch(address)).status, 200);
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [130, null]);
});
