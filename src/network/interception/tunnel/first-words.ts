import type { Duplex } from "node:stream";
import { startOf, type Start } from "../../http/start.ts";

/** Who has begun to say something, and says no more, is waited for as long, in ms. */
const waitMs = 5000;

/**
 * Looks at how the guest begins, and leaves all of it in the stream. Whose server speaks first does not wait.
 *
 * @returns null when the guest ends before that is known
 */
export async function firstWords(guest: Duplex, server: Duplex): Promise<Start | null> {
  const { promise, resolve } = Promise.withResolvers<Start | null>();
  let held: Buffer = Buffer.alloc(0);
  let timer: NodeJS.Timeout | null = null;
  const decide = (start: Start | null): void => {
    if (timer !== null) clearTimeout(timer);
    guest.off("readable", look).off("end", gone).off("close", gone);
    server.off("readable", other).off("end", other).off("close", other);
    // What is put back is told as new: nobody may listen any more.
    if (held.length > 0 && start !== null) guest.unshift(held);
    resolve(start);
  };
  const gone = (): void => decide(null);
  const other = (): void => decide("other");
  const look = (): void => {
    const bytes = guest.read() as Buffer | null;
    if (bytes === null) return;
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const start = startOf(held);
    if (start !== null) decide(start);
    else timer ??= setTimeout(other, waitMs);
  };
  guest.on("readable", look).on("end", gone).on("close", gone);
  server.on("readable", other).on("end", other).on("close", other);
  if (guest.destroyed) gone();
  else if (server.destroyed) other();
  return await promise;
}
