import { execFile } from "node:child_process";
import type { Sandbox } from "microsandbox";
import { promisify } from "node:util";
import type { Report } from "../report.ts";
import { throughputOf } from "./iperf.ts";

const run = promisify(execFile);

/** Wanted of the throughput through a published port: so many times what it is out of the guest. */
const wantedOfOutbound = 0.8;
/** Of the guest's server. */
export const publishedPort = 5201;
/** From the client's side, which is the host here, beside the direction of the guest's own connections. */
const directions = { up: "-R", down: "" } as const;

/** iperf3's server in the guest, its client on the host. @param outbound MB/s of the guest's own connections, one stream, by direction */
export async function measurePublished(
  report: Report,
  sandbox: Sandbox,
  outbound: ReadonlyMap<string, number>,
  seconds: number,
  rounds: number,
): Promise<void> {
  // Not by connecting to it: iperf3 would take that for a client, and be busy. In proc(5), net/tcp, ports are hexadecimal.
  const isListening = `grep -qi ':${publishedPort.toString(16)} ' /proc/net/tcp /proc/net/tcp6`;
  const script = `iperf3 -s -D -p ${publishedPort}; until ${isListening}; do sleep 0.1; done`;
  await sandbox.exec("sh", ["-c", script], { timeoutMs: 30_000 });
  const port = (await sandbox.ports()).find(({ guestPort }) => guestPort === publishedPort)?.hostPort;
  for (const [direction, flag] of Object.entries(directions)) {
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const words = ["-c", "127.0.0.1", "-p", String(port), "-J", "-t", String(seconds)];
      const { stdout } = await run("iperf3", flag === "" ? words : [...words, flag]);
      rates.push(throughputOf(stdout).rate);
    }
    const { p50 } = report.figure(`TCP ${direction} through a published port`, "MB/s", rates);
    const own = outbound.get(`${direction}, 1 stream`);
    if (own === undefined) continue;
    report.ratio(`published port, TCP ${direction}, of outbound`, p50 / own);
    report.goal(`published port, TCP ${direction}, of outbound`, "×", wantedOfOutbound, p50 / own, {
      atLeast: true,
    });
  }
}
