import { InvalidConfigError } from "../../errors/index.ts";
import { checkString } from "../../config/guest-text.ts";

export const defaultDetachKeys = "ctrl-]";

/**
 * Parses a comma list of keys into the bytes a terminal sends for them.
 *
 * @throws InvalidConfigError
 */
export function parseDetachKeys(spec: string): Buffer {
  checkString("detachKeys", spec);
  return Buffer.concat(spec.split(",").map((key) => parseKey(key.trim(), spec)));
}

function parseKey(key: string, spec: string): Buffer {
  const control = /^ctrl-([a-z[\\\]^_@])$/i.exec(key)?.[1];
  // A control character is the key's code without its upper three bits: ECMA-48, 5.2.
  if (control !== undefined) return Buffer.from([control.toUpperCase().charCodeAt(0) & 0x1f]);
  if (/^.$/su.test(key)) return Buffer.from(key);
  throw new InvalidConfigError(`the detach keys ${JSON.stringify(spec)} are not valid`, {
    hint: "Use a comma list of keys: ctrl- and one of a-z [ \\ ] ^ _ @, or a single character.",
  });
}

/** Looks for the detach keys in what is typed. Bytes that only began like them are passed on. */
export class DetachKeyFilter {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** @returns what to send to the command, and whether the keys were completed; then the rest is dropped */
  push(typed: Buffer): { readonly forward: Buffer; readonly detached: boolean } {
    const forward: number[] = [];
    for (const byte of typed) {
      this.#matched = this.#step(byte, forward);
      if (this.#matched === this.#keys.length) return { forward: Buffer.from(forward), detached: true };
    }
    return { forward: Buffer.from(forward), detached: false };
  }

  /** Goes on as far as the byte allows: after a mismatch a later part of what was held may still begin the keys. */
  #step(byte: number, forward: number[]): number {
    const held = [...this.#keys.subarray(0, this.#matched), byte];
    while (held.length > 0 && !held.every((value, index) => value === this.#keys[index])) {
      const first = held.shift();
      if (first !== undefined) forward.push(first);
    }
    return held.length;
  }
}
