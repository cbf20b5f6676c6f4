import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";

type MessageType = Message["type"];
type OfType<T extends MessageType> = Extract<Message, { type: T }>;

/** Carries out a request. What it throws is told to the client. */
export type Answer = (request: Message) => Message | Promise<Message>;
/** Takes a stream. What it throws is told to the client, and ends the stream. */
export type Accept = (opening: Message, stream: Stream) => StreamHandler;

/** Who does what a client asks for, by the message that asks. Each area registers its own. */
export class ServiceRegistry {
  readonly #answers = new Map<MessageType, Answer>();
  readonly #accepts = new Map<MessageType, Accept>();
  readonly #subscriptions = new Set<MessageType>();

  /** For a request with one answer. */
  request<T extends MessageType>(type: T, answer: (request: OfType<T>) => Message | Promise<Message>): void {
    this.#answers.set(type, answer as Answer);
  }

  /** For everything else. */
  stream<T extends MessageType>(
    type: T,
    accept: (opening: OfType<T>, stream: Stream) => StreamHandler,
  ): void {
    this.#accepts.set(type, accept as Accept);
  }

  /** For what a client may watch for as long as it likes. */
  subscription<T extends MessageType>(
    type: T,
    accept: (opening: OfType<T>, stream: Stream) => StreamHandler,
  ): void {
    this.stream(type, accept);
    this.#subscriptions.add(type);
  }

  isSubscription(type: MessageType): boolean {
    return this.#subscriptions.has(type);
  }

  answerTo(type: MessageType): Answer | null {
    return this.#answers.get(type) ?? null;
  }

  acceptOf(type: MessageType): Accept | null {
    return this.#accepts.get(type) ?? null;
  }

  /** Every message that somebody deals with. */
  get types(): readonly MessageType[] {
    return [...this.#answers.keys(), ...this.#accepts.keys()];
  }
}
