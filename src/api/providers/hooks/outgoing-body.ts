import type { HookBody } from "../../../config/network/interception/http-hooks.ts";
import { RuntimeError } from "../../../errors/index.ts";
import { FrameKind } from "../../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../../protocol/generated/limits.ts";
import type { Stream } from "../../../protocol/stream.ts";

/**
 * Sends a body that a function has made, as fast as it is taken. A stream that is not wanted to its end is told so.
 *
 * @throws what the body fails by; RuntimeError for a piece that is no bytes; when nobody takes it any more
 */
export async function sendBody(stream: Stream, body: HookBody, signal: AbortSignal): Promise<void> {
  if (typeof body === "string" || body instanceof Uint8Array) {
    await sendBytes(stream, typeof body === "string" ? Buffer.from(body) : body, signal);
    return;
  }
  for await (const bytes of interruptible(body, signal)) {
    if (!((bytes as unknown) instanceof Uint8Array))
      throw new RuntimeError("a piece of the body is no Uint8Array");
    await sendBytes(stream, bytes, signal);
  }
}

/** A stream that waits for something does not hear of the signal by itself. */
async function* interruptible(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const iterator = body[Symbol.asyncIterator]();
  const { promise: over, reject } = Promise.withResolvers<never>();
  over.catch(() => undefined);
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  let hasEnded = false;
  try {
    signal.throwIfAborted();
    for (;;) {
      const next = iterator.next();
      next.catch(() => undefined);
      const result: IteratorResult<Uint8Array, unknown> = await Promise.race([next, over]);
      if (result.done === true) {
        hasEnded = true;
        return;
      }
      yield result.value;
    }
  } catch (error) {
    if (!signal.aborted) hasEnded = true;
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
    // Not waited for: one that is stuck would not answer.
    if (!hasEnded) iterator.return?.().then(undefined, () => undefined);
  }
}

async function sendBytes(stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  while (rest.length > 0) {
    const count = Math.min(rest.length, stream.credit, MAX_DATA_PAYLOAD);
    if (count === 0) {
      await stream.writable(signal);
      continue;
    }
    // A program may use its memory again as soon as the next piece is asked for.
    stream.sendData(FrameKind.data, Buffer.from(rest.subarray(0, count)));
    rest = rest.subarray(count);
  }
}
