/**
 * Connections of TLS, one way or another; it prints JSON.
 *
 *     node client.ts ADDRESS PORT AUTHORITY PATH …
 *         new-hosts FROM COUNT                    to servers that were not spoken to before, with a request: each in ms
 *         connections SECONDS                     8 at once, each with a request: how many in a second
 *         requests VERSION CONNECTIONS SECONDS    for PATH, with HTTP/2 8 at once on each connection: how many in a second
 *         hold COUNT                              so many that stay, each after a request, until its input ends
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, createSecureContext, type TLSSocket } from "node:tls";
import { host, placeholder } from "./names.ts";

const [address = "", port = "", authority = "", path = "", what = "", ...words] = process.argv.slice(2);
const secureContext = createSecureContext({ ca: readFileSync(authority) });
const atOnce = 8;
const smallBytes = 64;
const authorization = `Bearer ${placeholder}`;

async function open(servername: string, protocol = "http/1.1"): Promise<TLSSocket> {
  const ALPNProtocols = [protocol];
  const socket = connect({ host: address, port: Number(port), servername, secureContext, ALPNProtocols });
  await once(socket, "secureConnect");
  if (socket.alpnProtocol !== protocol) throw new Error(`${String(socket.alpnProtocol)} was chosen`);
  return socket;
}

async function ask(servername: string): Promise<TLSSocket> {
  const socket = await open(servername);
  await askerOn(socket, servername, "/small")();
  return socket;
}

/** One request of HTTP/1.1, and all of its answer. */
function askerOn(socket: TLSSocket, servername: string, target: string): () => Promise<void> {
  const said = `GET ${target} HTTP/1.1\r\nHost: ${servername}\r\nAuthorization: ${authorization}\r\n\r\n`;
  let heard = "";
  let answered = (): void => undefined;
  let fail: (error: Error) => void = () => undefined;
  socket.on("data", (data: Buffer) => {
    heard += data.toString("latin1");
    const end = heard.indexOf("\r\n\r\n");
    if (end < 0 || heard.length < end + 4 + smallBytes) return;
    if (!heard.startsWith("HTTP/1.1 200 ")) fail(new Error(heard));
    heard = "";
    answered();
  });
  socket.once("close", () => fail(new Error(`closed after ${JSON.stringify(heard)}`)));
  return () =>
    new Promise((resolve, reject) => {
      [answered, fail] = [resolve, reject];
      socket.write(said);
    });
}

async function newHosts(from: number, count: number): Promise<number[]> {
  // Neither what compiles the client nor what loads its other end is meant.
  for (let index = 0; index < 5; index++) (await ask(host)).destroy();
  const times: number[] = [];
  for (let index = from; index < from + count; index++) {
    const begun = performance.now();
    const socket = await ask(`new-${index}.bench.test`);
    times.push(performance.now() - begun);
    socket.destroy();
  }
  return times;
}

async function connections(seconds: number): Promise<number> {
  let count = 0;
  const begun = performance.now();
  const one = async (): Promise<void> => {
    while (performance.now() - begun < seconds * 1000) {
      (await ask(host)).destroy();
      count++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return (count * 1000) / (performance.now() - begun);
}

/** Requests one after another on each of so many connections, which are made before the time begins. */
async function requests(version: string, count: number, seconds: number): Promise<number> {
  const askers = await Promise.all(
    Array.from({ length: count }, () => (version === "2" ? askerOfHttp2() : askerOfHttp1())),
  );
  let answered = 0;
  const begun = performance.now();
  const one = async (askOnce: () => Promise<void>): Promise<void> => {
    while (performance.now() - begun < seconds * 1000) {
      await askOnce();
      answered++;
    }
  };
  await Promise.all(askers.flat().map(one));
  return (answered * 1000) / (performance.now() - begun);
}

async function askerOfHttp1(): Promise<(() => Promise<void>)[]> {
  const askOnce = askerOn(await open(host), host, path);
  await askOnce();
  return [askOnce];
}

async function askerOfHttp2(): Promise<(() => Promise<void>)[]> {
  const socket = await open(host, "h2");
  const session = connectHttp2(`https://${host}`, { createConnection: () => socket });
  const fields = { ":path": path, authorization };
  const askOnce = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const stream = session.request(fields);
      stream.once("response", ({ ":status": status }) => {
        if (status !== 200) reject(new Error(`answered ${status}`));
      });
      stream.once("error", reject).once("end", resolve).resume();
    });
  await askOnce();
  return Array.from({ length: atOnce }, () => askOnce);
}

async function hold(count: number): Promise<number> {
  for (let made = 0; made < count; made += atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, count - made) }, () => ask(host)));
  return count;
}

async function measure(): Promise<unknown> {
  const [first = 0, second = 0, third = 0] = words.map(Number);
  if (what === "new-hosts") return await newHosts(first, second);
  if (what === "connections") return await connections(first);
  if (what === "hold") return await hold(first);
  return await requests(String(first), second, third);
}

console.log(JSON.stringify(await measure()));
if (what === "hold") await once(process.stdin.resume(), "end");
process.exit();
