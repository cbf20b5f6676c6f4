import type { Duplex } from "node:stream";

/**
 * Reads what a stream says first, up to a place in it; all after that place is left in the stream.
 *
 * @param endOf of all that came: how many bytes belong to it; null: that cannot be said yet
 * @param most so many bytes are waited for
 * @param ms as long is waited
 * @returns null when it did not come to that, and nothing is left of what was read
 * @throws what `endOf` does
 */
export async function gather(
  stream: Duplex,
  endOf: (all: Buffer) => number | null,
  most: number,
  ms: number,
): Promise<Buffer | null> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | null>();
  let all: Buffer = Buffer.alloc(0);
  const done = (): void => {
    clearTimeout(timer);
    stream.off("readable", take).off("end", over).off("close", over);
  };
  const over = (): void => {
    done();
    resolve(null);
  };
  const take = (): void => {
    const bytes = stream.read() as Buffer | null;
    if (bytes === null) return;
    all = all.length === 0 ? bytes : Buffer.concat([all, bytes]);
    try {
      const end = endOf(all);
      if (end === null) {
        if (all.length >= most) over();
        return;
      }
      // Before anything is put back: that is told as new.
      done();
      if (end < all.length) stream.unshift(all.subarray(end));
      resolve(all.subarray(0, end));
    } catch (error) {
      done();
      reject(error);
    }
  };
  const timer = setTimeout(over, ms);
  stream.on("readable", take).on("end", over).on("close", over);
  if (stream.destroyed || stream.readableEnded) over();
  return await promise;
}
