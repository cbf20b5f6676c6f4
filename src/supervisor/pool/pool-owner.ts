import { createConnection } from "node:net";
import { socketPath, type Home } from "../../store/home.ts";

/**
 * Watches the program that made a pool, which ends with it: it listens at the pool's socket for as long as it lives, however it ends.
 *
 * @returns resolves at once; what is in it resolves when the program is gone
 */
export function poolOwnerGone(
  home: Home,
  poolId: string,
): { readonly gone: Promise<void>; readonly leave: () => void } {
  const socket = createConnection(socketPath(home, poolId));
  const gone = new Promise<void>((resolve) => {
    socket.on("error", () => undefined);
    socket.once("close", () => {
      resolve();
    });
    socket.resume();
  });
  return { gone, leave: () => socket.destroy() };
}
