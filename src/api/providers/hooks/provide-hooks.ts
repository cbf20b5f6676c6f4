import type {
  GivenHooks,
  HookContext,
  HookedField,
  HookedRequestHead,
} from "../../../config/network/interception/http-hooks.ts";
import { RuntimeError } from "../../../errors/index.ts";
import { encodeFailure } from "../../../protocol/failure.ts";
import type {
  HookedField as WireField,
  HookedRequestHead as WireRequestHead,
  LookAtRequestMessage,
  LookAtResponseMessage,
  Message,
} from "../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../protocol/stream.ts";
import { type HookAnswer, hookAnswer } from "./hook-answer.ts";
import { IncomingBody } from "./incoming-body.ts";
import { sendBody } from "./outgoing-body.ts";

type Looking = LookAtRequestMessage | LookAtResponseMessage;
type Warn = (hook: keyof GivenHooks, error: unknown) => void;

/** A program hears no more often of one of its functions, ms. */
const warnEveryMs = 60_000;

/** The functions of this program that look at requests and answers, as its connection to a sandbox's supervisor is asked for them. */
export function provideHooks(hooks: GivenHooks): (stream: Stream, opening: Message) => StreamHandler {
  const told = new Map<string, number>();
  const warn: Warn = (hook, error) => {
    const now = performance.now();
    const last = told.get(hook);
    if (last !== undefined && now - last < warnEveryMs) return;
    told.set(hook, now);
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`the function ${hook} failed: ${why}`, "MicrosandboxWarning");
  };
  return (stream, opening) => {
    const looking = opening as Looking;
    const over = new AbortController();
    const body = looking.hasBody ? new IncomingBody(stream) : null;
    serve(hooks, stream, looking, body, over.signal, warn).catch(() => undefined);
    const giveUp = (): void => {
      over.abort(new Error("nobody waits for the function any more"));
      body?.close("nobody waits for the function any more");
    };
    return {
      message: () => undefined,
      data: (_kind, payload) => body?.take(payload),
      ended: () => body?.ended(),
      aborted: giveUp,
      lost: giveUp,
    };
  };
}

async function serve(
  hooks: GivenHooks,
  stream: Stream,
  looking: Looking,
  incoming: IncomingBody | null,
  signal: AbortSignal,
  warn: Warn,
): Promise<void> {
  const hook = looking.type === "LookAtRequest" ? "onRequest" : "onResponse";
  const fail = (error: unknown, told: RuntimeError): void => {
    // Whoever is gone has no part in it.
    if (!signal.aborted) warn(hook, error);
    incoming?.close("the function has failed");
    if (!stream.over) stream.send(encodeFailure(told));
  };
  let given: unknown;
  try {
    given = await called(hooks, looking, incoming, { signal });
  } catch (error) {
    // What it says may have in it what nobody else is to read.
    fail(error, new RuntimeError(`the function ${hook} failed`));
    return;
  }
  let answer: HookAnswer;
  try {
    answer = hookAnswer(hook, given);
  } catch (error) {
    fail(error, error as RuntimeError);
    return;
  }
  // The body that has come, untouched, is the one that there is anyway.
  const isOwn = incoming !== null && answer.body === incoming.readable && !incoming.hasBegun;
  const isKept = answer.body === null || (isOwn && !answer.decision.isAnswer);
  // First: whoever is told the decision knows then that nobody waits for the body.
  if (isKept || typeof answer.body === "string" || answer.body instanceof Uint8Array)
    incoming?.close("the function has answered, and its message goes on without it");
  stream.send(isKept ? { ...answer.decision, body: "kept" } : answer.decision);
  try {
    if (!isKept && answer.body !== null) await sendBody(stream, answer.body, signal);
  } catch (error) {
    fail(error, new RuntimeError(`the body that the function ${hook} has given failed`));
    return;
  }
  if (!stream.over) stream.send({ type: "HookDone" });
  incoming?.close("the body that the function has given is complete");
}

async function called(
  hooks: GivenHooks,
  looking: Looking,
  incoming: IncomingBody | null,
  context: HookContext,
): Promise<unknown> {
  const head = headOf(looking.request);
  const body = incoming?.readable ?? null;
  if (looking.type === "LookAtRequest") return await hooks.onRequest?.({ ...head, body }, context);
  const { status, fields } = looking;
  return await hooks.onResponse?.({ status, headers: pairs(fields), body }, head, context);
}

function headOf({ method, url, fields }: WireRequestHead): HookedRequestHead {
  return { method, url, headers: pairs(fields) };
}

function pairs(fields: readonly WireField[]): HookedField[] {
  return fields.map(({ name, value }) => [name, value]);
}
