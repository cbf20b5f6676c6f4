import type { Report } from "../report.ts";
import type { Caller, Servers } from "./caller.ts";
import { iperf } from "./iperf.ts";

const connectionCounts = [1, 64, 1024] as const;
/** A datagram of so many bytes fits any MTU. */
const datagramBytes = 1400;

/** What `probe.rs` prints: how many a second, and how long one took, µs. */
interface Answers {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

/** Requests of 64 bytes and their answers, connections, and datagrams as fast as they are sent. */
export async function measureRequests(
  report: Report,
  caller: Caller,
  servers: Servers,
  seconds: number,
  rounds: number,
): Promise<void> {
  // Before there are a thousand connections: they end with the program that had them, which takes whoever is at the other end a moment.
  await probe(report, caller, "connections", `connect ${caller.host} ${servers.echo} ${seconds}`, rounds);
  for (const count of connectionCounts) {
    const name = `requests on ${count} ${count === 1 ? "connection" : "connections"}`;
    await probe(report, caller, name, `ask ${caller.host} ${servers.echo} ${count} ${seconds}`, rounds);
  }
  for (const [direction, flag] of Object.entries({ up: "", down: "-R" })) {
    const rates: number[] = [];
    const lost: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const options = `-u -b 0 -l ${datagramBytes} ${flag} -t ${seconds}`;
      const result = await iperf(caller, servers.iperf, options);
      rates.push(result.rate);
      lost.push(result.lost);
    }
    report.figure(`UDP ${direction}, what arrived`, "MB/s", rates);
    report.figure("  lost, of what was sent", "%", lost);
  }
}

async function probe(
  report: Report,
  caller: Caller,
  name: string,
  words: string,
  rounds: number,
): Promise<void> {
  const all: Answers[] = [];
  for (let round = 0; round < rounds; round++) {
    const text = await caller.output(`ulimit -n 4096; ${caller.probe} ${words}`);
    all.push(JSON.parse(text) as Answers);
  }
  report.figure(
    name,
    "/s",
    all.map(({ rate }) => rate),
  );
  report.figure(
    "  one, median",
    "ms",
    all.map(({ p50 }) => p50 / 1000),
  );
  report.figure(
    "  one, 99th percentile",
    "ms",
    all.map(({ p99 }) => p99 / 1000),
  );
}
