import type { Duplex } from "node:stream";
import type { Inspector, PromptBodyFilter } from "../http/inspector.ts";

/**
 * Passes on what is no HTTP, in both directions, each of which ends by itself. Resolves when both have; the streams are then ended.
 *
 * @throws Blocked, and what a stream failed by; neither is destroyed yet
 */
export async function relayRaw(guest: Duplex, server: Duplex, inspector: Inspector | null): Promise<void> {
  const filter = inspector === null ? null : inspector.raw(null);
  await Promise.all([pass(guest, server, filter), pass(server, guest, null)]);
}

function pass(from: Duplex, to: Duplex, filter: PromptBodyFilter | null): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const guarded = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      reject(error);
      from.pause();
    }
  };
  from.on("data", (bytes: Buffer) =>
    guarded(() => {
      let takesMore = true;
      for (const part of filter?.push(bytes) ?? [bytes]) takesMore = to.write(part);
      if (!takesMore) from.pause();
    }),
  );
  from.on("end", () =>
    guarded(() => {
      for (const part of filter?.end() ?? []) to.write(part);
      to.end();
      resolve(undefined);
    }),
  );
  to.on("drain", () => from.resume());
  for (const stream of [from, to]) {
    stream.once("error", reject);
    // After both ends nothing of this has any effect.
    stream.once("close", () => {
      if (!from.readableEnded) reject(new Error("the connection was broken off"));
    });
  }
  return promise;
}
