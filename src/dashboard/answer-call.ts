import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import * as v from "valibot";
import { InvalidConfigError } from "../errors/index.ts";
import { calls } from "./calls/calls.ts";
import { sendJson } from "./send-json.ts";
import type { CallName } from "./wire.ts";

/** Of a call's arguments, bytes. */
const longestArguments = 256 << 10;

/** Carries out a call of the page's. @throws what it throws */
export async function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
): Promise<void> {
  if (request.method !== "POST" || !isCall(name)) {
    sendJson(response, 404, { code: "refused", message: `there is no call ${name}`, hint: "" });
    return;
  }
  const given = await readArguments(request);
  const { args, run } = calls[name];
  const parsed = v.safeParse(args, given);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new InvalidConfigError(`${v.getDotPath(issue) ?? "the arguments"}: ${issue.message}`);
  }
  // What only looks is given up with the page that asked. What changes something is carried to its end, as a command would be.
  const gone = new AbortController();
  response.once("close", () => {
    gone.abort(new Error("nobody waits for the answer any more"));
  });
  const result = await (run as (args: unknown, signal: AbortSignal) => Promise<unknown>)(
    parsed.output,
    gone.signal,
  );
  if (!gone.signal.aborted) sendJson(response, 200, result);
}

function isCall(name: string): name is CallName {
  return Object.hasOwn(calls, name);
}

async function readArguments(request: IncomingMessage): Promise<unknown> {
  const length = Number(request.headers["content-length"] ?? Number.NaN);
  if (!(length <= longestArguments))
    throw new InvalidConfigError(`the arguments are longer than ${String(longestArguments)} bytes`);
  try {
    return JSON.parse((await buffer(request)).toString("utf8"));
  } catch (cause) {
    throw new InvalidConfigError("the arguments are no JSON", { cause });
  }
}
