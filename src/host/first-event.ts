import type { EventEmitter } from "node:events";

/**
 * Resolves with the first of several events, and leaves no listener behind. Of two `once()` that race, the loser would keep its
 * listener for as long as the emitter lives.
 *
 * @returns the event's name
 */
export function firstEvent<N extends string>(
  emitter: Pick<EventEmitter, "on" | "off">,
  names: readonly N[],
): Promise<N> {
  return new Promise((resolve) => {
    const listeners = names.map((name) => {
      const listener = (): void => {
        for (const [each, its] of listeners) emitter.off(each, its);
        resolve(name);
      };
      return [name, listener] as const;
    });
    for (const [name, listener] of listeners) emitter.on(name, listener);
  });
}
