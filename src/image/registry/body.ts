import type { IncomingMessage } from "node:http";
import { HttpError } from "../../errors/index.ts";
import { connectionError, displayUrl } from "./connection-error.ts";

/** The least that a peer must send while it is waited for, in bytes a second: less is as good as silence. */
const leastRate = 1024;

/**
 * A body's bytes as they come. Only the time for which the peer is waited for counts, not what the reader does between.
 *
 * @param windowMs over how long the least rate is measured, in milliseconds
 * @throws HttpError when the body ends too early, or comes too slowly
 */
export async function* receive(url: URL, body: IncomingMessage, windowMs: number): AsyncGenerator<Buffer> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<unknown>;
  let waitedMs = 0;
  let bytes = 0;
  try {
    for (;;) {
      const asked = performance.now();
      const next = await chunks.next();
      waitedMs += performance.now() - asked;
      if (next.done === true) return;
      if (!(next.value instanceof Buffer)) throw new TypeError("the body is no stream of bytes");
      bytes += next.value.length;
      if (waitedMs >= windowMs) {
        if (bytes < (leastRate * waitedMs) / 1000) {
          throw new Error(`fewer than ${leastRate} bytes a second arrived for ${windowMs / 1000} s`);
        }
        waitedMs = 0;
        bytes = 0;
      }
      yield next.value;
    }
  } catch (error) {
    throw connectionError(url, error);
  } finally {
    body.destroy();
  }
}

/** An answer whose body is read. */
interface Answer {
  readonly url: URL;
  chunks(): AsyncIterable<Buffer>;
}

/**
 * Reads a body that is expected to be small.
 *
 * @throws HttpError when it is longer than `limit` bytes or ends too early
 */
export async function readBody(response: Answer, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response.chunks()) {
    length += chunk.length;
    if (length > limit) break;
    chunks.push(chunk);
  }
  if (length > limit) throw new HttpError(`${displayUrl(response.url)} sent more than ${limit} bytes`);
  return Buffer.concat(chunks);
}
