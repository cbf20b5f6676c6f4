import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import { host } from "./names.ts";
import type { Way } from "./ways.ts";

const client = join(import.meta.dirname, "client.ts");

/** One body, by curl. @param bytes of it @returns MiB/s */
export async function moved(
  way: Way,
  direction: "down" | "up",
  bytes: number,
  sparse: string,
): Promise<number> {
  const shared = ["-sS", "--fail", "--http1.1", "--cacert", way.authority];
  const url = `https://${host}:${way.port}`;
  const said = await output(way, "curl", [
    ...shared,
    ...["--connect-to", `${host}:${way.port}:${way.address}:${way.port}`, "-o", "/dev/null"],
    ...["-w", "%{size_download} %{size_upload} %{time_pretransfer} %{time_total}"],
    ...(direction === "down" ? [`${url}/down?bytes=${bytes}`] : ["-H", "Expect:", "-T", sparse, `${url}/up`]),
  ]);
  const [down = 0, up = 0, begun = 0, ended = 0] = said.split(" ").map(Number);
  if ((direction === "down" ? down : up) !== bytes) throw new Error(`curl, ${way.name}: ${said}`);
  return bytes / 2 ** 20 / (ended - begun);
}

/** What `client.ts` measures. */
export async function measuredBy<T>(way: Way, ...words: readonly (string | number)[]): Promise<T> {
  return JSON.parse(await output(way, process.execPath, clientWords(way, words))) as T;
}

/** Does something while the client has so many connections. */
export async function whileHeld<T>(way: Way, count: number, action: () => Promise<T>): Promise<T> {
  const child = way.spawn(process.execPath, clientWords(way, ["hold", count]));
  const exit = once(child, "exit");
  const first = await Promise.race([once(child.stdout as Readable, "data"), exit.then(() => null)]);
  if (first === null) throw new Error(`${way.name}: the connections were not made`);
  try {
    return await action();
  } finally {
    child.stdin?.end();
    await exit;
  }
}

function clientWords(way: Way, words: readonly (string | number)[]): string[] {
  return [client, way.address, String(way.port), way.authority, way.path, ...words.map(String)];
}

async function output(way: Way, program: string, args: readonly string[]): Promise<string> {
  const child = way.spawn(program, args);
  child.stdin?.end();
  const exit = once(child, "exit") as Promise<[number | null]>;
  const said = await text(child.stdout as Readable);
  const [code] = await exit;
  if (code !== 0) throw new Error(`${program}, ${way.name}: ended with ${String(code)}: ${said}`);
  return said;
}
