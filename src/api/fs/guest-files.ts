import { ProtocolError } from "../../errors/index.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import { iterated } from "../../host/iterated.ts";
import { Slots } from "../../host/slots.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { fsError } from "./fs-error.ts";
import { guestPath, pathText, type GuestPath } from "./guest-path.ts";
import { GuestStream } from "./guest-stream.ts";

type OfType<T extends Message["type"]> = Extract<Message, { type: T }>;

/** So many calls of one program are under way in a sandbox at a time; each takes a thread in the guest. Others wait here. */
const mostAtOnce = 64;

/** A call on a path of the guest. */
export interface PathCall {
  readonly operation: Operation;
  readonly path: Buffer;
}

/** Whose files they are. */
export type FilesOwner = Pick<SandboxControl, "run" | "borrow" | "explainLoss">;

/** How the calls of fs() reach the guest. */
export class GuestFiles {
  readonly control: FilesOwner;
  readonly #slots = new Slots(mostAtOnce);

  constructor(control: FilesOwner) {
    this.control = control;
  }

  /**
   * Does something with a path of the guest that has an end, when it is its turn.
   *
   * @param verb of the call's name, as in `read "/etc/hosts" in sandbox demo`
   * @throws InvalidConfigError when it is no path; what `work` throws
   */
  async run<T>(
    verb: string,
    path: GuestPath,
    options: WaitOptions,
    work: (call: PathCall) => Promise<T>,
    others?: OtherOptions,
  ): Promise<T> {
    const inTurn = async (call: PathCall): Promise<T> => {
      using _slot = await this.#slots.take(call.operation.signal);
      return await work(call);
    };
    return await this.open(verb, path, options, inTurn, others);
  }

  /** The same for what goes on after the call: it waits for no turn, and takes none. */
  async open<T>(
    verb: string,
    path: GuestPath,
    options: WaitOptions,
    work: (call: PathCall) => Promise<T>,
    others?: OtherOptions,
  ): Promise<T> {
    const bytes = guestPath("the path", path);
    return await this.control.run(
      `${verb} ${JSON.stringify(pathText(bytes))} in sandbox`,
      options,
      (operation) => this.control.explainLoss(work({ operation, path: bytes })),
      others,
    );
  }

  /** What goes on while it is iterated, and ends with the loop. */
  async *iterate<T>(
    verb: string,
    path: GuestPath,
    options: WaitOptions,
    work: (call: PathCall) => AsyncGenerator<T, void, undefined>,
    others?: OtherOptions,
  ): AsyncGenerator<T, void, undefined> {
    yield* iterated<PathCall, T>((iterate) => this.open(verb, path, options, iterate, others), work);
  }

  /** Asks a question that has one answer. @throws SandboxFsError when the guest could not do it */
  async ask<T extends Message["type"]>(
    { operation, path }: PathCall,
    request: Message,
    answer: T,
  ): Promise<OfType<T>> {
    using borrowed = await this.control.borrow(operation);
    const received = await borrowed.connection.request(request, operation.signal);
    if (received.type === "FileFailed") throw fsError(received, path);
    if (received.type !== answer)
      throw new ProtocolError(`the guest answered ${request.type} with ${received.type}`);
    return received as OfType<T>;
  }

  /** Opens a stream. To be aborted by whoever leaves it before its end. */
  async stream({ operation, path }: PathCall, request: Message): Promise<GuestStream> {
    // Who receives a tree is done with its contents soon.
    const lends = request.type === "TreeSend" && request.contents;
    return new GuestStream(await this.control.borrow(operation), request, path, lends);
  }

  /** Opens a stream for the time of a call, and gives it up when the call fails. */
  async during<T>(call: PathCall, request: Message, work: (stream: GuestStream) => Promise<T>): Promise<T> {
    const stream = await this.stream(call, request);
    try {
      return await work(stream);
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }
}
