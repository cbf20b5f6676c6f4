import { Sandbox } from "microsandbox";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Accelerator } from "../src/machine/types.ts";
import { needPrograms } from "./needed-programs.ts";
import { makeRoot, peerNames, startGuest, type NetworkGuest, type PeerName } from "./network-guests.ts";
import { measureAlone } from "./network/alone.ts";
import { startServers, type Servers } from "./network/caller.ts";
import { iperf } from "./network/iperf.ts";
import { measureMemory } from "./network/memory.ts";
import { buildPrograms } from "./network/programs.ts";
import { measurePublished } from "./network/published.ts";
import { measureRequests } from "./network/requests.ts";
import { measureResponsiveness } from "./network/responsiveness.ts";
import { cpuTimeMs } from "./processes.ts";
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
  await needPrograms({
    ...{ rustc: "rustc", iperf3: "iperf3", passt: "passt", slirp4netns: "slirp4netns" },
    ...{ "fsck.erofs": "erofs-utils", unshare: "util-linux" },
  });
  const directory = await mkdtemp(join(tmpdir(), "msb-bench-network-"));
  try {
    const programs = await buildPrograms(directory);
    using servers = await startServers(programs.probe, await freePort());
    const counts = { seconds, rounds };
    await measureAlone(report, programs, servers, counts).catch((error: unknown) => {
      report.failure("network without a machine", error);
    });
    const root = join(directory, "root");
    await makeRoot(root, programs.probe);
    const rates: Rates = new Map();
    for (const mtu of mtus) {
      for (const peer of peerNames) {
        // libslirp knows one MTU.
        if (peer === "libslirp" && mtu !== 1500) continue;
        report.section(`Network: ${peer}, MTU ${mtu}`);
        try {
          await using guest = await startGuest(peer, root, mtu, accelerator, directory);
          const { sandbox, peer: supervisor } = guest;
          const isOwn = sandbox !== null && supervisor !== null && mtu === 65520;
          // First: what the process has used before it keeps for later.
          if (isOwn) await measureMemory(report, sandbox, guest, servers, supervisor, seconds);
          const own = await measureThroughput(report, guest, servers, counts);
          rates.set(`${peer} ${mtu}`, own);
          await measureRequests(report, guest, servers, seconds, rounds);
          if (!isOwn) continue;
          await measurePublished(report, sandbox, own, seconds, rounds);
          await measureResponsiveness(report, sandbox, guest, servers);
        } catch (error) {
          report.failure(`network, ${peer} at MTU ${mtu}`, error);
        }
      }
    }
    compare(report, rates);
    await measureStart(report, starts);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function measureThroughput(
  report: Report,
  guest: NetworkGuest,
  servers: Servers,
  { seconds, rounds }: Pick<NetworkCounts, "seconds" | "rounds">,
): Promise<Map<string, number>> {
  const rates = new Map<string, number>();
  for (const streams of streamCounts) {
    for (const [direction, flag] of Object.entries(directions)) {
      const samples: number[] = [];
      const costs = { qemu: [] as number[], peer: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        const before = await cpuTimes(guest);
        const { rate } = await iperf(guest, servers.iperf, `${flag} -P ${streams} -t ${seconds}`);
        const after = await cpuTimes(guest);
        samples.push(rate);
        const gigabytes = (rate * seconds) / 1024;
        costs.qemu.push((after.qemu - before.qemu) / gigabytes);
        if (guest.peer !== null) costs.peer.push((after.peer - before.peer) / gigabytes);
      }
      const name = `${direction}, ${streams} ${streams === 1 ? "stream" : "streams"}`;
      const { p50 } = report.figure(`TCP ${name}`, "MB/s", samples);
      report.figure("  processor time of QEMU for a GB", "ms", costs.qemu);
      if (guest.peer !== null) report.figure("  of the other end for a GB", "ms", costs.peer);
      rates.set(name, p50);
    }
  }
  return rates;
}

async function cpuTimes({ qemu, peer }: NetworkGuest): Promise<Record<"qemu" | "peer", number>> {
  const [ofQemu, ofPeer] = await Promise.all([cpuTimeMs(qemu), peer === null ? 0 : cpuTimeMs(peer)]);
  return { qemu: ofQemu, peer: ofPeer };
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

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
