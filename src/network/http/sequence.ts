import { type BodyFilter, type BodyTaker, isMade, type MadeBody } from "./inspector.ts";

/** What the first passes on goes through the second. @returns null when both pass everything on */
export function inSequence(first: BodyFilter | null, second: BodyFilter | null): BodyFilter | null;
export function inSequence(
  first: BodyFilter | MadeBody | null,
  second: BodyFilter | null,
): BodyFilter | MadeBody | null;
export function inSequence(
  first: BodyFilter | MadeBody | null,
  second: BodyFilter | null,
): BodyFilter | MadeBody | null {
  if (first === null || second === null) return first ?? second;
  if (isMade(first)) return madeThrough(first, second);
  const through = async (pieces: readonly Buffer[]): Promise<Buffer[]> => {
    const out: Buffer[] = [];
    for (const piece of pieces) out.push(...(await second.push(piece)));
    return out;
  };
  return {
    changesLength: first.changesLength || second.changesLength,
    push: async (bytes) => await through(await first.push(bytes)),
    end: async () => [...(await through(await first.end())), ...(await second.end())],
  };
}

/** What somebody makes goes through a filter. */
function madeThrough(made: MadeBody, filter: BodyFilter): MadeBody {
  let hasEnded = false;
  return {
    length: filter.changesLength && made.length !== null ? "later" : made.length,
    taker: made.taker,
    read: async () => {
      while (!hasEnded) {
        const bytes = await made.read();
        hasEnded = bytes === null;
        const pieces = await (bytes === null ? filter.end() : filter.push(bytes));
        const whole = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
        if (whole !== undefined && whole.length > 0) return whole;
      }
      return null;
    },
    cancel: () => {
      made.cancel();
    },
  };
}

/** What a filter passes on goes to a taker. @returns the taker itself when there is nothing to filter */
export function takerThrough(filter: BodyFilter | null, taker: BodyTaker): BodyTaker {
  if (filter === null) return taker;
  let hasEnded = false;
  const give = async (pieces: readonly Buffer[]): Promise<void> => {
    for (const piece of pieces) await taker.push(piece);
  };
  return {
    push: async (bytes) => {
      await give(await filter.push(bytes));
    },
    end: async () => {
      if (hasEnded) return;
      hasEnded = true;
      await give(await filter.end());
      await taker.end();
    },
  };
}
