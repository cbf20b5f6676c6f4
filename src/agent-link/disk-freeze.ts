import { ProtocolError, RuntimeError } from "../errors/index.ts";
import type { Message } from "../protocol/generated/messages.ts";
import type { Stream } from "../protocol/stream.ts";
import type { AgentLink } from "./agent-link.ts";

/** EBUSY of the guest's kernel: include/uapi/asm-generic/errno-base.h. */
const busy = 16;

/** The file system of a guest's upper disk, frozen by its agent. */
export class DiskFreeze {
  /** Resolves when nothing is written any more. @throws as {@link thawed} */
  readonly frozen: Promise<void>;
  /** Resolves when it goes on because it was {@link release}d. @throws RuntimeError when it has gone on before, or was never frozen */
  readonly thawed: Promise<void>;
  /** Resolves when the guest has said its last word on it, or is gone. */
  readonly over: Promise<void>;
  readonly #stream: Stream;
  #isReleased = false;

  /** @param limitMs after which the guest goes on by itself */
  constructor(agent: Pick<AgentLink, "openFiles">, limitMs: number) {
    const frozen = Promise.withResolvers<void>();
    const thawed = Promise.withResolvers<void>();
    const fail = (error: Error): void => {
      frozen.reject(error);
      thawed.reject(error);
    };
    const over = Promise.withResolvers<void>();
    this.over = over.promise;
    this.frozen = frozen.promise;
    this.thawed = thawed.promise;
    this.frozen.catch(() => undefined);
    this.thawed.catch(() => undefined);
    let isFrozen = false;
    this.#stream = agent.openFiles(
      { type: "FreezeDisk", limitMs },
      {
        message: (message) => {
          if (message.type === "DiskFrozen") {
            if (isFrozen) throw new ProtocolError("the guest froze its disk twice");
            isFrozen = true;
            frozen.resolve();
          } else if (message.type === "FileDone") {
            if (!isFrozen || !this.#isReleased)
              throw new ProtocolError("the guest thawed a disk unasked, or that it had not frozen");
            thawed.resolve();
          } else fail(whyNot(message, isFrozen, limitMs));
        },
        data: () => undefined,
        lost: fail,
      },
      over.resolve,
    );
  }

  /** It was copied. */
  release(): void {
    this.#isReleased = true;
    this.#stream.send({ type: "ReleaseDisk" });
  }

  /** Nobody wants it any more: it goes on. Does nothing to one that has. */
  abandon(): void {
    this.#stream.abort(new RuntimeError("nobody copies the disk any more"));
  }
}

function whyNot(message: Message, wasFrozen: boolean, limitMs: number): Error {
  if (message.type !== "FileFailed")
    return new RuntimeError(
      `the guest gave it up: ${message.type === "Failure" ? message.message : message.type}`,
    );
  const { operation, errno, message: words } = message;
  if (operation === "hold")
    return new RuntimeError(
      `the copy of the disk took longer than the ${limitMs / 1000} s for which a guest's disk is frozen`,
      {
        hint: 'Take it with the processors held, which has no such limit (guestFlush "skip"), or of the stopped sandbox.',
      },
    );
  if (wasFrozen)
    return new RuntimeError(`the guest did not stay frozen while its disk was copied: ${words}`, {
      hint: 'A program in it has thawed its disk. guestFlush "skip" holds its processors instead.',
    });
  return new RuntimeError(`the guest cannot freeze its disk: ${words}`, {
    hint:
      errno === busy
        ? 'A program in it has frozen it already: thaw it, or take the snapshot with guestFlush "skip".'
        : 'Take the snapshot with guestFlush "skip", or of the stopped sandbox.',
  });
}
