const times = 16;

/**
 * Compares how long something takes once with how long it takes 16 times with a 16th: about 1 when it is linear, 16 when it is quadratic.
 * Both are measured in turn, and count with their shortest, since whatever else the machine does only makes them longer.
 *
 * @param size of the large one
 * @param prepare makes what is measured of a size, afresh for each time
 */
export function growth(size: number, prepare: (size: number) => () => void): number {
  let [together, apart] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  // The first rounds are slow, until it is all compiled.
  for (let round = 0; round < 10; round++) {
    apart = Math.min(apart, taken(Array.from({ length: times }, () => prepare(size / times))));
    together = Math.min(together, taken([prepare(size)]));
  }
  return together / apart;
}

/** Between the two, with room for the collection of garbage. */
export const mostGrowth = 6;

/** In ms. The clock: what the system tells of a thread's own time is in steps of its ticks. */
function taken(runs: readonly (() => void)[]): number {
  const start = performance.now();
  for (const run of runs) run();
  return performance.now() - start;
}
