import type { Sandbox } from "microsandbox";
import type { Report } from "../report.ts";
import { timed } from "../statistics.ts";
import type { Caller, Servers } from "./caller.ts";
import { iperf } from "./iperf.ts";

/** Wanted of `ping()` and `exec`, 99th percentile: at most so many times what they take in a guest that has nothing to do. */
const wantedOfIdle = 5;
/** With fewer samples a 99th percentile is no more than the worst. */
const leastSamples = 100;

interface Samples {
  readonly ping: number[];
  readonly exec: number[];
}

/** `ping()` and a command, while nothing moves and while data moves at full speed. */
export async function measureResponsiveness(
  report: Report,
  sandbox: Sandbox,
  caller: Caller,
  servers: Servers,
): Promise<void> {
  const idle = await sample(sandbox, () => false);
  const idleFigures = tell(report, "idle", idle);
  for (const [direction, flag] of Object.entries({ up: "", down: "-R" })) {
    const samples: Samples = { ping: [], exec: [] };
    while (samples.ping.length < leastSamples) {
      const load = { isOver: false };
      const [{ ping, exec }] = await Promise.all([
        sample(sandbox, () => load.isOver),
        iperf(caller, servers.iperf, `${flag} -t 10`).finally(() => (load.isOver = true)),
      ]);
      // The first are from before it moved, the last from its end.
      samples.ping.push(...ping.slice(5, -1));
      samples.exec.push(...exec.slice(5, -1));
    }
    const figures = tell(report, `TCP ${direction}`, samples);
    for (const what of ["ping", "exec"] as const) {
      const ratio = figures[what] / idleFigures[what];
      report.ratio(`${what} with TCP ${direction}, 99th percentile, of idle`, ratio);
      report.goal(`${what} with TCP ${direction}, p99, of idle`, "×", wantedOfIdle, ratio);
    }
  }
}

/** One of each in turn, as many as are needed or until the load is over. */
async function sample(sandbox: Sandbox, isOver: () => boolean): Promise<Samples> {
  const samples: Samples = { ping: [], exec: [] };
  while (!isOver() && samples.ping.length < leastSamples + 6) {
    samples.ping.push(await timed(() => sandbox.ping()));
    samples.exec.push(await timed(() => sandbox.exec("true")));
  }
  return samples;
}

/** @returns the 99th percentiles */
function tell(report: Report, when: string, samples: Samples): Record<"ping" | "exec", number> {
  return {
    ping: report.figure(`ping(), ${when}`, "ms", samples.ping).p99,
    exec: report.figure(`exec("true"), ${when}`, "ms", samples.exec).p99,
  };
}
