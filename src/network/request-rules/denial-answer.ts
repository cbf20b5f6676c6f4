import type { HttpConfig } from "../../config/network/interception/http-type.ts";
import type { RequestVerdict } from "../http/inspector.ts";
import type { RequestHead } from "../http/message.ts";

const longestPath = 1_024;

/**
 * What a program is told whose request is refused: 403, the rule in a field, and the reason as JSON, or in the user's own words.
 *
 * @param rule index of the one that decided
 */
export function denialAnswer(
  { denyMessage }: Pick<HttpConfig, "denyMessage">,
  head: Pick<RequestHead, "method" | "target">,
  host: string | null,
  rule: number | null,
): RequestVerdict {
  const [path = ""] = head.target.slice(0, longestPath).split(/[?#]/, 1);
  const facts: Readonly<Record<string, string>> = {
    host: host ?? "",
    method: head.method.slice(0, 64),
    path,
  };
  const [type, text] =
    denyMessage === null
      ? ["application/json", reason(facts, rule)]
      : ["text/plain; charset=utf-8", filledIn(denyMessage, facts)];
  const body = Buffer.from(`${text}\n`);
  return {
    kind: "answer",
    head: {
      status: 403,
      fields: [
        ["content-type", type],
        ["content-length", String(body.length)],
        ["cache-control", "no-store"],
        ["x-microsandbox-denied", `rule ${String(rule)}`],
      ],
    },
    body,
  };
}

function reason(facts: Readonly<Record<string, string>>, rule: number | null): string {
  const { method, host, path } = facts;
  const message = `the sandbox's rules do not allow ${String(method)} ${String(host)}${String(path)}`;
  return JSON.stringify({ error: "request_denied", message, ...facts, rule });
}

/** The text is the user's, and what is filled in the guest's own. */
function filledIn(text: string, facts: Readonly<Record<string, string>>): string {
  return text.replace(/\{(host|method|path)\}/g, (_, name: string) => facts[name] ?? "");
}
