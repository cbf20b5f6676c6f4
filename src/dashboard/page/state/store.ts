import { useEffect, useState } from "preact/hooks";

/** A value that parts of the page show: they are told when it is another one. */
export class Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns what ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

/** The value of a store, for a component that is drawn anew when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [, draw] = useState({});
  useEffect(() => {
    let seen = store.value;
    const look = (): void => {
      if (store.value === seen) return;
      seen = store.value;
      draw({});
    };
    // It may have changed since this was drawn.
    draw({});
    return store.listen(look);
  }, [store]);
  return store.value;
}
