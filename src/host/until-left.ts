/**
 * What a `for await` loop over a stream gives. Leaving the loop before its end (`break`, `return`, an error of the loop's own) says that
 * the stream is not wanted any more, as with Node's streams.
 *
 * @param next the next item, null at the end; its errors end the loop and leave the stream as it is
 * @param leave disposes of the stream
 */
export async function* untilLeft<T>(
  next: () => Promise<T | null>,
  leave: () => PromiseLike<void>,
): AsyncGenerator<T, void, undefined> {
  for (let item = await next(); item !== null; item = await next()) {
    let isWanted = false;
    try {
      yield item;
      isWanted = true;
    } finally {
      if (!isWanted) await leave();
    }
  }
}
