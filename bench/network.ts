import { Sandbox } from "microsandbox";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Accelerator } from "../src/machine/types.ts";
import { makeRoot, peerNames, startGuest, type NetworkGuest, type PeerName } from "./network-guests.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

/** Wanted of TCP's throughput: so many times the better of the others at the same MTU, and of libslirp, whose MTU is 1500. */
const wantedOfOthers = 1.0;
const wantedOfSlirp = 1.5;
/** Wanted of `create()` with a network: at most so many times what it takes without. */
const wantedStart = 1.05;

const mtus = [1500, 65520] as const;
const directions = { up: "", down: "-R", both: "--bidir" } as const;
const streamCounts = [1, 8] as const;

interface NetworkCounts {
  readonly seconds: number;
  readonly rounds: number;
  readonly starts: number;
}

type Rates = Map<string, Map<string, number>>;

/** The same guest with the gateway, with QEMU's own user network (libslirp) and with passt; iperf3 between it and the host. */
export async function measureNetwork(
  report: Report,
  accelerator: Accelerator,
  { seconds, rounds, starts }: NetworkCounts,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "msb-bench-network-"));
  const server = await startServer();
  try {
    const root = join(directory, "root");
    await makeRoot(root);
    const rates: Rates = new Map();
    for (const mtu of mtus) {
      for (const peer of peerNames) {
        // libslirp knows one MTU.
        if (peer === "libslirp" && mtu !== 1500) continue;
        report.section(`Network: ${peer}, MTU ${mtu}`);
        try {
          await using guest = await startGuest(peer, root, mtu, accelerator, directory);
          rates.set(`${peer} ${mtu}`, await measureGuest(report, guest, server.port, seconds, rounds));
        } catch (error) {
          report.failure(`network, ${peer} at MTU ${mtu}`, error);
        }
      }
    }
    compare(report, rates);
    await measureStart(report, starts);
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function measureGuest(
  report: Report,
  guest: NetworkGuest,
  port: number,
  seconds: number,
  rounds: number,
): Promise<Map<string, number>> {
  const rates = new Map<string, number>();
  for (const streams of streamCounts) {
    for (const [direction, flag] of Object.entries(directions)) {
      const samples: number[] = [];
      const costs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const before = await guest.peerCpuMs();
        const rate = await iperf(guest, port, `${flag} -P ${streams} -t ${seconds}`);
        const after = await guest.peerCpuMs();
        samples.push(rate);
        if (before !== null && after !== null) costs.push((after - before) / ((rate * seconds) / 1024));
      }
      const name = `${direction}, ${streams} ${streams === 1 ? "stream" : "streams"}`;
      const { p50 } = report.figure(`TCP ${name}`, "MB/s", samples);
      if (costs.length > 0) report.figure("  processor time of the other end for a GB", "ms", costs);
      rates.set(name, p50);
    }
  }
  return rates;
}

/** @returns MB/s that arrived, of both directions together */
async function iperf(guest: NetworkGuest, port: number, options: string): Promise<number> {
  const text = await guest.output(`iperf3 -c ${guest.host} -p ${port} -J ${options}`);
  const { end } = JSON.parse(text) as {
    readonly end: Readonly<Record<string, { readonly bits_per_second?: number } | undefined>>;
  };
  const bits =
    (end["sum_received"]?.bits_per_second ?? 0) + (end["sum_received_bidir_reverse"]?.bits_per_second ?? 0);
  return bits / 8 / 2 ** 20;
}

function compare(report: Report, rates: Rates): void {
  report.section("Network, compared");
  const rateOf = (peer: PeerName, mtu: number, name: string): number | null =>
    rates.get(`${peer} ${mtu}`)?.get(name) ?? null;
  for (const mtu of mtus) {
    for (const [name, own] of rates.get(`gateway ${mtu}`) ?? []) {
      const others = [rateOf("libslirp", mtu, name), rateOf("passt", mtu, name)].filter(
        (rate) => rate !== null,
      );
      const ratio = others.length === 0 ? null : own / Math.max(...others);
      if (ratio !== null) report.ratio(`TCP ${name}, MTU ${mtu}, of the better of libslirp and passt`, ratio);
      report.goal(`TCP ${name}, MTU ${mtu}, of the better of the others`, "×", wantedOfOthers, ratio, {
        atLeast: true,
      });
      const slirp = rateOf("libslirp", 1500, name);
      if (mtu !== 65520) continue;
      const large = slirp === null ? null : own / slirp;
      if (large !== null) report.ratio(`TCP ${name}, MTU ${mtu}, of libslirp at 1500`, large);
      report.goal(`TCP ${name}, MTU ${mtu}, of libslirp at 1500`, "×", wantedOfSlirp, large, {
        atLeast: true,
      });
    }
  }
}

/** `create()` and the first command's output, with the default network and without one, in turn. */
async function measureStart(report: Report, starts: number): Promise<void> {
  report.section("Start to the first command's output");
  const samples = { with: [] as number[], without: [] as number[] };
  for (let count = -2; count < starts; count++) {
    for (const kind of count % 2 === 0 ? (["with", "without"] as const) : (["without", "with"] as const)) {
      const builder = Sandbox.builder(`start-${kind}`).image("localhost/base").memory(512).replace();
      if (kind === "without") builder.disableNetwork();
      const ms = await timed(async () => {
        const sandbox = await builder.create();
        await sandbox.exec("true");
      });
      // The first ones make the templates.
      if (count >= 0) samples[kind].push(ms);
      await (await Sandbox.get(`start-${kind}`)).kill();
    }
  }
  const withNetwork = report.figure("with the default network", "ms", samples.with);
  const without = report.figure("without a network", "ms", samples.without);
  const ratio = withNetwork.p50 / without.p50;
  report.ratio("with a network, of without", ratio);
  report.goal("start with a network, of without", "×", wantedStart, ratio);
}

async function startServer(): Promise<{ readonly port: number; readonly close: () => void }> {
  const port = await freePort();
  const child = spawn("iperf3", ["-s", "-p", String(port), "-B", "127.0.0.1"], { stdio: "ignore" });
  child.on("error", () => undefined);
  return { port, close: () => child.kill("SIGKILL") };
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
