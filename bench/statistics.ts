/** Samples of one figure and what is said about them. */

export interface Summary {
  readonly count: number;
  readonly minimum: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly maximum: number;
  readonly samples: readonly number[];
}

/** @throws RangeError without samples */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError("there are no samples");
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    count: samples.length,
    minimum: percentile(sorted, 0),
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
    maximum: percentile(sorted, 100),
    samples,
  };
}

/** The nearest-rank percentile: always one of the samples. */
function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** How long an action takes, ms. */
export async function timed(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return performance.now() - begun;
}
