import type { RequestVerdict } from "../../http/inspector.ts";
import type { HookFailed } from "../interception.ts";

const names: ReadonlyMap<number, string> = new Map([
  [503, "hook_unavailable"],
  [504, "hook_timeout"],
]);

/** What a program in the guest is told when a function about its request fails: the reason as JSON, with nothing of the function's own words. */
export function failureAnswer({ status, message }: HookFailed): RequestVerdict & { readonly body: Buffer } {
  const error = names.get(status) ?? "hook_failed";
  const body = Buffer.from(`${JSON.stringify({ error, message })}\n`);
  return {
    kind: "answer",
    head: {
      status,
      fields: [
        ["content-type", "application/json"],
        ["content-length", String(body.length)],
        ["cache-control", "no-store"],
        ["x-microsandbox-hook", error],
      ],
    },
    body,
  };
}
