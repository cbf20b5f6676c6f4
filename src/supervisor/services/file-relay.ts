import {
  AgentUnresponsiveError,
  ProtocolError,
  RuntimeError,
  SandboxNotRunningError,
} from "../../errors/index.ts";
import type { AgentLink } from "../../agent-link/agent-link.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { TimeLimits } from "./guest/time-limits.ts";

export interface FileRelayOptions {
  readonly request: Message;
  readonly agent: Pick<AgentLink, "openFiles">;
  readonly client: Pick<Stream, "send" | "sendData" | "consume" | "stopSending">;
  readonly sandbox: string;
  /** A sandbox in which this goes on is not idle, unless it only waits for something to happen to a file. */
  readonly limits: Pick<TimeLimits, "activity" | "sessionStarted" | "sessionEnded">;
  /** The guest has said its last word. */
  readonly over: () => void;
}

/**
 * A stream about files between a client and the guest. It holds nothing: each side sends what the other one has granted. The guest is
 * held to the order of things; what it says of its files is for the client to judge.
 */
export class FileRelay {
  readonly #options: FileRelayOptions;
  readonly #stream: Stream;
  /** Whether the guest has said that it could be opened, which is said once, and before anything else but that it failed. */
  #opened = false;
  /** How often the client has asked for changes that have not come. */
  #wanted = 0;

  /** @throws RuntimeError when too many streams are open */
  constructor(options: FileRelayOptions) {
    this.#options = options;
    const { agent, client, limits } = options;
    const isWork = options.request.type !== "FileWatch";
    this.#stream = agent.openFiles(
      options.request,
      {
        message: (message) => {
          this.#fromGuest(message);
        },
        data: (kind, payload) => {
          if (!this.#opened) throw new ProtocolError("the guest sent a file that it had not opened");
          limits.activity();
          client.sendData(kind, payload);
        },
        credit: (bytes) => {
          client.consume(bytes);
        },
        stopSending: () => {
          client.stopSending();
        },
        lost: (error) => {
          client.send(encodeFailure(this.#whyLost(error)));
        },
      },
      () => {
        if (isWork) limits.sessionEnded();
        options.over();
      },
    );
    if (isWork) limits.sessionStarted();
    else limits.activity();
  }

  /** What to do about what the client sends on its stream. */
  get clientHandler(): StreamHandler {
    const { limits } = this.#options;
    const stream = this.#stream;
    return {
      message: (message) => {
        if (message.type === "Next") this.#wanted++;
        stream.send(message);
      },
      data: (kind, payload) => {
        limits.activity();
        stream.sendData(kind, payload);
      },
      credit: (bytes) => {
        stream.consume(Math.min(bytes, stream.held));
      },
      stopSending: () => {
        stream.stopSending();
      },
      ended: () => {
        stream.end();
      },
      aborted: () => {
        this.#abandon();
      },
      lost: () => {
        this.#abandon();
      },
    };
  }

  #fromGuest(message: Message): void {
    const { client } = this.#options;
    if (message.type === "Failure") {
      // What kind of error it is, is not for the guest to say.
      client.send(encodeFailure(new RuntimeError(`the guest gave it up: ${message.message}`)));
      return;
    }
    if (message.type === "FileOpened") {
      if (this.#opened) throw new ProtocolError("the guest opened a file twice");
      this.#opened = true;
    } else if (message.type === "FileChanges" || message.type === "TreeDone") {
      if (!this.#opened) throw new ProtocolError(`the guest sent ${message.type} of what it had not opened`);
      if (message.type === "FileChanges" && --this.#wanted < 0)
        throw new ProtocolError("the guest sent FileChanges that nobody asked for");
    }
    client.send(message);
  }

  #abandon(): void {
    this.#stream.abort(new RuntimeError("nobody waits for it any more"));
  }

  /** The end of the guest is no lost connection to whoever asked for a file of it. */
  #whyLost(error: Error): Error {
    if (error instanceof ProtocolError || error instanceof AgentUnresponsiveError) return error;
    const { sandbox } = this.#options;
    return new SandboxNotRunningError(`sandbox ${sandbox} has ended`, {
      hint: `Start it again ("msb start ${sandbox}").`,
      cause: error,
    });
  }
}
