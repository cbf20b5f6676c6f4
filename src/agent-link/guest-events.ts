import { ProtocolError } from "../errors/index.ts";
import type { Message } from "../protocol/generated/messages.ts";
import type { StreamHandler } from "../protocol/stream.ts";

/** A guest may say as much as it likes; what it says must not fill a log. Lines in the life of a machine. */
const mostLines = 100;

/** A line for the log of the sandbox. */
export type TellEvent = (level: "info" | "warn", text: string) => void;

/** Puts into words what a guest tells unasked. */
export class GuestEvents implements StreamHandler {
  readonly #tell: TellEvent;
  #lines = 0;
  #kills = 0;

  constructor(tell: TellEvent) {
    this.#tell = tell;
  }

  message(message: Message): void {
    switch (message.type) {
      case "OutOfMemory":
        if (message.kills <= this.#kills)
          throw new ProtocolError("the guest counts its killed processes backwards");
        this.#kills = message.kills;
        this.#say(
          "warn",
          `memory ran out in the guest: its kernel has killed ${message.kills} processes so far`,
        );
        return;
      case "PowerOff":
        this.#say("info", "the guest is shut down from inside");
        return;
      default:
        throw new ProtocolError(`the guest sent ${message.type} as an event`);
    }
  }

  data(): void {
    throw new ProtocolError("the guest sent data with its events");
  }

  lost(): void {
    // The connection itself tells.
  }

  #say(level: "info" | "warn", text: string): void {
    this.#lines++;
    if (this.#lines < mostLines) this.#tell(level, text);
    else if (this.#lines === mostLines)
      this.#tell("warn", "the guest tells too much: no more of its events are noted");
  }
}
