import { longestTimerMs } from "./timers.ts";

/** Waits for a promise, but not longer than so many ms. @returns null when it takes longer */
export async function orTimeout<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms, longestTimerMs), null);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
