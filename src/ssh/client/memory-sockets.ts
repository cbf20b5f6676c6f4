import { Duplex } from "node:stream";

/**
 * Two ends of a connection inside this process. What is written at one end arrives at the other a moment later, as on a real one: never
 * while the writer is still at it, which is what `duplexPair` of Node does, and what no code for sockets reckons with.
 */
export function memorySockets(): [Duplex, Duplex] {
  const near = new MemorySocket();
  const far = new MemorySocket();
  near.far = far;
  far.far = near;
  return [near, far];
}

class MemorySocket extends Duplex {
  far: MemorySocket | null = null;
  #taken: (() => void) | null = null;

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pass(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#pass(null, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { far } = this;
    this.far = null;
    queueMicrotask(() => far?.destroy());
    done(error);
  }

  #pass(chunk: Buffer | null, done: () => void): void {
    queueMicrotask(() => {
      const { far } = this;
      if (far === null || far.destroyed || far.push(chunk) || chunk === null) done();
      else far.#taken = done;
    });
  }
}
