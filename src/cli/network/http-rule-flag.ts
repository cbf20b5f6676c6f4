import { checkHttpRule } from "../../config/network/interception/builders/http-rule.ts";
import type { HttpRule } from "../../config/network/interception/http-type.ts";
import { UsageError } from "../output/usage-error.ts";
import { usable } from "./port.ts";

/**
 * `ACTION[:METHOD[,METHOD…]]@HOST[/PATH]`: `allow:GET,HEAD@api.github.com/repos/**`, `deny@*`.
 *
 * @throws UsageError
 */
export function parseHttpRule(text: string): HttpRule {
  const match = /^(allow|deny)(?::([^@]+))?@([^/]+)(\/.*)?$/s.exec(text);
  const [, action, methods = "*", host, path] = match ?? [];
  if (action === undefined) {
    throw new UsageError(
      `"${text}" is no rule about requests.`,
      "Rules are written ACTION[:METHOD[,METHOD…]]@HOST[/PATH]: allow:GET@api.github.com/repos/**, deny@*",
    );
  }
  return usable(() =>
    checkHttpRule(action as HttpRule["action"], { methods: methods.split(","), host, path }, `"${text}"`),
  );
}

/** The same as text. */
export function httpRuleText({ action, methods, host, path }: HttpRule): string {
  return `${action}${methods.length === 0 ? "" : `:${methods.join(",")}`}@${host}${path ?? ""}`;
}
