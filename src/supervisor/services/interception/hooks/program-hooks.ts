import type { HttpConfig } from "../../../../config/network/interception/http-type.ts";
import type {
  Asking,
  MadeBody,
  Reading,
  RequestVerdict,
  ResponseVerdict,
} from "../../../../network/http/inspector.ts";
import type { RequestHead, ResponseHead } from "../../../../network/http/message.ts";
import {
  HookFailed,
  type HttpHooks,
  type RequestContext,
} from "../../../../network/interception/interception.ts";
import type { HookDecidesMessage, Message } from "../../../../protocol/generated/messages.ts";
import { HookCall, type KeptBytes, type OpenStream } from "./hook-call.ts";
import { HookSlots } from "./hook-slots.ts";
import {
  answerHead,
  changedRequest,
  changedResponse,
  hookedFields,
  hookedRequestHead,
  lengthOf,
} from "./hooked-heads.ts";

/** Each may hold up to one window of the protocol each way. */
const mostAtOnce = 128;
/** Of all bodies that functions have read before they decided. */
const mostKeptBytes = 64 * 1024 * 1024;

/** Functions of the program that owns the sandbox, as its gateway asks them. They fail closed: without them nothing goes on. */
export class ProgramHooks implements HttpHooks {
  readonly #open: OpenStream;
  readonly #hooks: HttpConfig["hooks"];
  readonly #slots = new HookSlots(mostAtOnce);
  readonly #kept: KeptBytes = { left: mostKeptBytes };

  constructor(open: OpenStream, hooks: HttpConfig["hooks"]) {
    this.#open = open;
    this.#hooks = hooks;
  }

  async request(
    head: RequestHead,
    about: RequestContext,
    asking: Asking,
  ): Promise<RequestVerdict | Reading<RequestVerdict>> {
    if (!this.#hooks.onRequest) return { kind: "forward", head, body: null };
    const opening: Message = {
      type: "LookAtRequest",
      request: hookedRequestHead(head, about),
      hasBody: asking.hasBody,
    };
    const call = await this.#call("onRequest", opening, asking);
    return await stepsOf(call, (decision) => {
      const made = madeOf(call, decision, lengthOf(head));
      if (decision.isAnswer)
        return {
          kind: "answer",
          head: answerHead(decision),
          body: decision.body === "made" ? made : nothing,
        };
      const changed = changedRequest(head, about, decision);
      return { kind: "forward", head: changed, body: isUntouched(call, decision) ? null : made };
    });
  }

  async response(
    head: ResponseHead,
    request: RequestHead,
    about: RequestContext,
    asking: Asking,
  ): Promise<ResponseVerdict | Reading<ResponseVerdict>> {
    if (!this.#hooks.onResponse) return { head, body: null };
    const { status, fields } = head;
    const opening: Message = {
      type: "LookAtResponse",
      request: hookedRequestHead(request, about),
      ...{ status, fields: hookedFields(fields), hasBody: asking.hasBody },
    };
    const call = await this.#call("onResponse", opening, asking);
    return await stepsOf(call, (decision) => {
      const changed = changedResponse(head, decision);
      const made = madeOf(call, decision, lengthOf(head));
      if (!isUntouched(call, decision)) return { head: changed, body: made };
      const losesBody = changed.status !== status && (changed.status === 204 || changed.status === 304);
      return { head: changed, body: losesBody && asking.hasBody ? empty : null };
    });
  }

  async #call(name: "onRequest" | "onResponse", opening: Message, asking: Asking): Promise<HookCall> {
    const { timeoutMs } = this.#hooks;
    const begun = performance.now();
    await this.#slots.take(timeoutMs, (gone) => asking.whenGone(gone));
    let stay: () => void = () => undefined;
    const over = (): void => {
      this.#slots.giveBack();
      stay();
    };
    let call: HookCall;
    try {
      call = new HookCall({
        ...{ open: this.#open, opening, name, over, kept: this.#kept },
        timeoutMs: Math.max(1, timeoutMs - (performance.now() - begun)),
      });
    } catch {
      over();
      throw new HookFailed(503, "the program of the sandbox could not be asked");
    }
    stay = asking.whenGone(() => call.cancel());
    return call;
  }
}

const nothing = Buffer.alloc(0);

const empty: MadeBody = {
  length: 0,
  taker: null,
  read: () => Promise.resolve(null),
  cancel: () => undefined,
};

/** What comes of a call, at once or once it has read. @param act what becomes of what it decides @throws HookFailed */
async function stepsOf<Verdict>(
  call: HookCall,
  act: (decision: HookDecidesMessage) => Verdict,
): Promise<Verdict | Reading<Verdict>> {
  const decided = (decision: HookDecidesMessage): Verdict => {
    try {
      return act(decision);
    } catch (error) {
      call.cancel();
      throw error;
    }
  };
  const first = await call.first;
  if (first !== "reads") return decided(first);
  return { kind: "reading", taker: call, verdict: call.decision.then(decided) };
}

function isUntouched(call: HookCall, { body }: HookDecidesMessage): boolean {
  return body === "kept" && !call.hasRead;
}

/** @param before how long the message's own body is; null: nobody knows */
function madeOf(call: HookCall, { body, length }: HookDecidesMessage, before: number | null): MadeBody {
  const told = body === "kept" ? before : length;
  let bytes = 0;
  return {
    length: told,
    taker: body === "made" && call.isDeaf ? null : call,
    read: async () => {
      const piece = await call.read();
      bytes += piece?.length ?? 0;
      if (told !== null && (bytes > told || (piece === null && bytes < told)))
        throw new HookFailed(502, "a function has given a body of another length than it has said");
      return piece;
    },
    cancel: () => {
      call.cancel();
    },
  };
}
