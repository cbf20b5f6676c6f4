import { spawn } from "node:child_process";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestAuthority } from "../test/support/tls/test-authority.ts";
import { needPrograms } from "./needed-programs.ts";
import { firstOutput } from "./network/namespace.ts";
import { buildPrograms } from "./network/programs.ts";
import { cpuTimeMs, residentBytes, watchMemory } from "./processes.ts";
import type { Report } from "./report.ts";
import { measuredBy, moved, whileHeld } from "./tls/clients.ts";
import { hosts } from "./tls/names.ts";
import { startWay, wayNames, type Way, type WayName } from "./tls/ways.ts";

/** Wanted of requests that are read: so many times those of mitmproxy. */
const wantedOfMitmproxy = 3;
/** Wanted of a body's speed: so much of what passes as it is. */
const wantedOfSplice = 0.6;
/** Wanted of what a body takes of the processor: what passes as it is and Node's TLS twice together take at least so much of it. */
const wantedOfFloor = 0.8;

const newHosts = 30;
const heldConnections = 256;
const mebibyte = 2 ** 20;

export interface TlsCounts {
  readonly seconds: number;
  readonly rounds: number;
  readonly mebibytes: number;
  readonly transfer: number;
}

/** One row: what is measured, and what it takes of the process between for `of`. */
interface Row {
  readonly name: string;
  readonly unit: "/s" | "MB/s";
  readonly of: string;
  /** @returns the figure, and how many of `of` there were */
  readonly measure: (way: Way) => Promise<{ readonly rate: number; readonly count: number }>;
}

type Medians = ReadonlyMap<WayName, number>;

interface Measured {
  readonly rates: Medians;
  /** Processor time for one of `of`, ms. */
  readonly costs: Medians;
}

/**
 * A client of TLS and a server: with nobody between; with the gateway that passes it on, that reads it, that puts a secret in; with Node's
 * TLS and nothing else; and with mitmproxy.
 */
export async function measureTls(report: Report, counts: TlsCounts): Promise<void> {
  await needPrograms({ rustc: "rustc", curl: "curl", mitmdump: "mitmproxy" });
  const directory = await mkdtemp(join(tmpdir(), "msb-bench-tls-"));
  await using authority = await TestAuthority.make();
  const { cert, key } = await authority.certificate(hosts, { others: ["localhost"] });
  const [certFile, keyFile, sparse] = ["server.pem", "server.key", "sparse"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const server = spawn(process.execPath, [join(import.meta.dirname, "tls/server.ts"), certFile, keyFile], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ways: Way[] = [];
  try {
    const port = Number(await firstOutput(server, server.stdout));
    const { cable } = await buildPrograms(directory);
    for (const name of wayNames)
      ways.push(
        await startWay(name, {
          ...{ cable, directory, root: authority.path, server: port },
          ...{ certificate: certFile, key: keyFile },
        }),
      );
    // First: what a process has used before it keeps for later.
    await measureHeld(report, ways);
    await measureTransfer(report, ways, counts.transfer, sparse);
    await measureRows(report, ways, counts, sparse);
    await measureNewHosts(report, ways);
  } finally {
    for (const way of ways) await way[Symbol.asyncDispose]();
    server.stdin.end();
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function measureRows(
  report: Report,
  ways: readonly Way[],
  { seconds, rounds, mebibytes }: TlsCounts,
  sparse: string,
): Promise<void> {
  const bytes = mebibytes * mebibyte;
  await makeSparse(sparse, bytes);
  const asked = (version: "1.1" | "2", connections: number): Row["measure"] => {
    return async (way) => {
      const rate = await measuredBy<number>(way, "requests", version, connections, seconds);
      return { rate, count: (rate * seconds) / 1000 };
    };
  };
  const body = (direction: "up" | "down"): Row["measure"] => {
    return async (way) => ({ rate: await moved(way, direction, bytes, sparse), count: mebibytes / 1024 });
  };
  const perThousand = "1,000 requests";
  const requests: readonly Row[] = [
    { name: "HTTP/1.1, 1 connection", unit: "/s", of: perThousand, measure: asked("1.1", 1) },
    { name: "HTTP/1.1, 64 connections", unit: "/s", of: perThousand, measure: asked("1.1", 64) },
    { name: "HTTP/2, 8 connections of 8 requests", unit: "/s", of: perThousand, measure: asked("2", 8) },
  ];
  const others: readonly Row[] = [
    {
      name: "new connections, 8 at once, each with a request",
      unit: "/s",
      of: "1,000 connections",
      measure: async (way) => {
        const rate = await measuredBy<number>(way, "connections", seconds);
        return { rate, count: (rate * seconds) / 1000 };
      },
    },
    { name: "body down", unit: "MB/s", of: "a GB", measure: body("down") },
    { name: "body up", unit: "MB/s", of: "a GB", measure: body("up") },
  ];
  for (const row of requests) {
    const { rates } = await measureRow(report, ways, row, rounds);
    for (const way of ["read", "with a secret"] as const)
      goal(report, `${row.name}, ${way}, of mitmproxy`, wantedOfMitmproxy, rates, way, "mitmproxy");
  }
  for (const row of others) {
    const { rates, costs } = await measureRow(report, ways, row, rounds);
    if (row.unit !== "MB/s") continue;
    const cost = (way: WayName): number => costs.get(way) ?? Number.NaN;
    const floor = cost("spliced") + cost("Node's TLS twice");
    for (const way of ["read", "with a secret"] as const) {
      goal(report, `${row.name}, ${way}, of spliced`, wantedOfSplice, rates, way, "spliced");
      const name = `${row.name}, processor time of the floor, of ${way}`;
      report.goal(name, "×", wantedOfFloor, floor / cost(way), { atLeast: true });
    }
  }
}

/** All ways in turn: what else the host does meets all of them. */
async function measureRow(
  report: Report,
  ways: readonly Way[],
  { name, unit, of, measure }: Row,
  rounds: number,
): Promise<Measured> {
  const rates = new Map<WayName, number[]>();
  const costs = new Map<WayName, number[]>();
  // The first round loads and compiles.
  for (let round = -1; round < rounds; round++) {
    for (const way of ways) {
      const before = way.between === null ? 0 : await cpuTimeMs(way.between);
      const { rate, count } = await measure(way);
      if (round < 0) continue;
      rates.set(way.name, [...(rates.get(way.name) ?? []), rate]);
      if (way.between === null) continue;
      costs.set(way.name, [
        ...(costs.get(way.name) ?? []),
        ((await cpuTimeMs(way.between)) - before) / count,
      ]);
    }
  }
  report.section(`TLS: ${name}`);
  const medians = new Map<WayName, number>();
  const medianCosts = new Map<WayName, number>();
  for (const way of wayNames) {
    medians.set(way, report.figure(way, unit, rates.get(way) ?? []).p50);
    const cost = costs.get(way);
    if (cost !== undefined) medianCosts.set(way, report.figure(`  processor time for ${of}`, "ms", cost).p50);
  }
  const read = medians.get("read") ?? Number.NaN;
  for (const other of ["direct", "spliced", "Node's TLS twice", "mitmproxy"] as const)
    report.ratio(`read, of ${other}`, read / (medians.get(other) ?? Number.NaN));
  report.ratio("with a secret, of read", (medians.get("with a secret") ?? Number.NaN) / read);
  return { rates: medians, costs: medianCosts };
}

function goal(
  report: Report,
  name: string,
  wanted: number,
  medians: Medians,
  way: WayName,
  other: WayName,
): void {
  const [own, of] = [medians.get(way), medians.get(other)];
  const measured = own === undefined || of === undefined ? null : own / of;
  report.goal(name, "×", wanted, measured, { atLeast: true });
}

/** The handshake with a server that was not spoken to before: a certificate is made for it. */
async function measureNewHosts(report: Report, ways: readonly Way[]): Promise<void> {
  const batch = 10;
  const samples = new Map<WayName, number[]>();
  for (let from = 0; from < newHosts; from += batch)
    for (const way of ways)
      samples.set(way.name, [
        ...(samples.get(way.name) ?? []),
        ...(await measuredBy<number[]>(way, "new-hosts", from, batch)),
      ]);
  report.section("TLS: connection, handshake and first answer of a new host");
  const medians = new Map(
    wayNames.map((way) => [way, report.figure(way, "ms", samples.get(way) ?? []).p50] as const),
  );
  const spliced = medians.get("spliced") ?? Number.NaN;
  for (const way of ["read", "with a secret", "mitmproxy"] as const)
    report.figure(`added by it: ${way}, less spliced`, "ms", [(medians.get(way) ?? Number.NaN) - spliced]);
}

async function measureHeld(report: Report, ways: readonly Way[]): Promise<void> {
  report.section(`TLS: memory of who is between, ${heldConnections} idle connections`);
  for (const way of ways) {
    const { between } = way;
    if (between === null) continue;
    // What is loaded with the first connections is not theirs.
    await whileHeld(way, 8, () => Promise.resolve());
    const before = await residentBytes(between);
    const held = await whileHeld(way, heldConnections, () => residentBytes(between));
    report.figure(`${way.name}, before`, "MB", [before / mebibyte]);
    report.figure(`${way.name}, with them`, "MB", [held / mebibyte]);
    report.figure("  more for each of them", "kB", [(held - before) / heldConnections / 1024]);
  }
}

async function measureTransfer(
  report: Report,
  ways: readonly Way[],
  mebibytes: number,
  sparse: string,
): Promise<void> {
  await makeSparse(sparse, mebibytes * mebibyte);
  report.section(`TLS: memory of who is between, ${mebibytes} MiB in one body`);
  for (const way of ways) {
    const { between } = way;
    if (between === null) continue;
    for (const direction of ["down", "up"] as const) {
      const before = await residentBytes(between);
      await using watch = await watchMemory(between);
      await moved(way, direction, mebibytes * mebibyte, sparse);
      const highest = watch.highestBytes();
      report.figure(`${way.name}, ${direction}, highest`, "MB", [highest / mebibyte]);
      report.figure("  more than before", "MB", [(highest - before) / mebibyte]);
    }
  }
}

async function makeSparse(path: string, bytes: number): Promise<void> {
  const file = await open(path, "w");
  await file.truncate(bytes);
  await file.close();
}
