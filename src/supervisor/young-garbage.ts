import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes that are passed on between two collections. */
const period = 4 * 1024 * 1024;

type Collect = (options: { readonly type: "minor" }) => void;

let collect: Collect | null = null;
let passed = 0;

/**
 * Takes note of bytes that were passed on. Each leaves several buffers behind, outside of V8's heap, and V8 waits for some 64 MiB of
 * them before it looks: measured with a relay of 256 MiB, 133 MiB of memory at its peak. Collected every few MiB, while all of them are
 * young, it is 75 MiB, and takes no more of the processor.
 */
export function notePassed(bytes: number): void {
  passed += bytes;
  if (passed < period) return;
  passed = 0;
  collect ??= collector();
  collect({ type: "minor" });
}

/** V8 hands its collector out to contexts that are made after this flag was set. */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
