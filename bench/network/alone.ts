import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { supervisorNodeOptions } from "../../src/start/contract/process.ts";
import { cpuTimeMs } from "../processes.ts";
import type { Report } from "../report.ts";
import type { Caller, Servers } from "./caller.ts";
import { iperf } from "./iperf.ts";
import { callerIn, firstOutput } from "./namespace.ts";
import type { Programs } from "./programs.ts";
import { measureRequests } from "./requests.ts";

/** Wanted of the gateway's TCP throughput at MTU 65520: so many times that of slirp4netns. */
const wantedOfSlirp4netns = 1.0;
const mtus = [1500, 65520] as const;
const directions = { up: "", down: "-R", both: "--bidir" } as const;

/** A network namespace of this host, and whoever is at the other end of its TAP. */
interface Namespace extends Caller, AsyncDisposable {
  readonly other: number;
}

/**
 * The gateway without a machine, beside slirp4netns: both serve this host's kernel behind a TAP in a namespace. slirp4netns reads the
 * TAP itself; the gateway has `cable.rs` in between, which is what QEMU is to it.
 */
export async function measureAlone(
  report: Report,
  programs: Programs,
  servers: Servers,
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  for (const mtu of mtus) {
    const rates: Record<string, number[]> = {};
    const costs: Record<string, number[]> = {};
    const starts = {
      gateway: () => startGateway(programs, mtu),
      slirp4netns: () => startSlirp4netns(programs, mtu),
    };
    // In turn: what else the host does meets both.
    for (let round = 0; round < rounds; round++) {
      for (const [peer, start] of Object.entries(starts)) {
        await using namespace = await start();
        for (const [direction, flag] of Object.entries(directions)) {
          const before = await cpuTimeMs(namespace.other);
          const { rate } = await iperf(namespace, servers.iperf, `${flag} -t ${seconds}`);
          const cpu = (await cpuTimeMs(namespace.other)) - before;
          (rates[`${peer} ${direction}`] ??= []).push(rate);
          (costs[`${peer} ${direction}`] ??= []).push(cpu / ((rate * seconds) / 1024));
        }
      }
    }
    report.section(`Network without a machine, MTU ${mtu}`);
    for (const direction of Object.keys(directions)) {
      const [own, other] = Object.keys(starts).map((peer) => {
        const name = `${peer} ${direction}`;
        const { p50 } = report.figure(`TCP ${direction}, ${peer}`, "MB/s", rates[name] ?? []);
        report.figure("  processor time for a GB", "ms", costs[name] ?? []);
        return p50;
      });
      const ratio = (own ?? 0) / (other ?? 1);
      report.ratio(`TCP ${direction}, MTU ${mtu}, of slirp4netns`, ratio);
      if (mtu !== 65520) continue;
      report.goal(`gateway alone, TCP ${direction}, of slirp4netns`, "×", wantedOfSlirp4netns, ratio, {
        atLeast: true,
      });
    }
    for (const [peer, start] of Object.entries(starts)) {
      report.section(`Network without a machine, ${peer}, MTU ${mtu}`);
      await using namespace = await start();
      await measureRequests(report, namespace, servers, seconds, rounds);
    }
  }
}

async function startGateway({ probe, cable }: Programs, mtu: number): Promise<Namespace> {
  const words = [...supervisorNodeOptions, join(import.meta.dirname, "alone-gateway.ts"), cable, String(mtu)];
  const gateway = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  const pid = Number(await firstOutput(gateway, gateway.stdout));
  return {
    ...callerIn(pid, "172.16.0.1", probe),
    other: gateway.pid ?? 0,
    async [Symbol.asyncDispose]() {
      gateway.stdin.end();
      await once(gateway, "exit");
    },
  };
}

async function startSlirp4netns({ probe }: Programs, mtu: number): Promise<Namespace> {
  const script = "ip link set lo up; echo; exec sleep infinity";
  const sleeper = spawn("unshare", ["--map-root-user", "--net", "sh", "-c", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await firstOutput(sleeper, sleeper.stdout);
  const pid = sleeper.pid ?? 0;
  const words = ["--configure", `--mtu=${mtu}`, "--ready-fd=3", String(pid), "tap0"];
  const slirp = spawn("slirp4netns", words, { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  await firstOutput(slirp, slirp.stdio[3] as Readable);
  const caller = callerIn(pid, "10.0.2.2", probe);
  // As at the gateway's: see `cable.rs`.
  await caller.output("ip link set tap0 txqueuelen 10000");
  return {
    ...caller,
    other: slirp.pid ?? 0,
    async [Symbol.asyncDispose]() {
      for (const child of [slirp, sleeper]) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}
