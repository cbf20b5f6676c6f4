import type { BootFailedMessage } from "../protocol/generated/messages.ts";

/** The agent could not make the guest the sandbox it should be. */
export class GuestBootError extends Error {
  readonly step: string;
  readonly errno: number | null;

  constructor(message: BootFailedMessage) {
    super(message.message);
    this.step = message.step;
    this.errno = message.errno === 0 ? null : message.errno;
  }
}
