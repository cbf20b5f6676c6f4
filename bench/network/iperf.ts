import type { Caller } from "./caller.ts";

interface Sum {
  readonly bits_per_second?: number;
  readonly lost_percent?: number;
}

/** What iperf3 says at its end: MB/s that arrived, of both directions together, and the share of datagrams that did not, %. */
export interface Throughput {
  readonly rate: number;
  readonly lost: number;
}

/** Runs iperf3 against the host's loopback. */
export async function iperf(caller: Caller, port: number, options: string): Promise<Throughput> {
  return throughputOf(await caller.output(`iperf3 -c ${caller.host} -p ${port} -J ${options}`));
}

/** @param text of `iperf3 -J`. @throws Error for what it says of a failure */
export function throughputOf(text: string): Throughput {
  const { end, error } = JSON.parse(text) as {
    readonly end: Readonly<Record<string, Sum | undefined>>;
    readonly error?: string;
  };
  // Its exit code does not always say so.
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const received = end["sum_received"];
  const bits = (received?.bits_per_second ?? 0) + (end["sum_received_bidir_reverse"]?.bits_per_second ?? 0);
  return { rate: bits / 8 / 2 ** 20, lost: received?.lost_percent ?? 0 };
}
