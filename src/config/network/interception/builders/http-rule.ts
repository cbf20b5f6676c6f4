import { InvalidConfigError } from "../../../../errors/index.ts";
import { checkList, shown } from "../../../checks.ts";
import { checkString } from "../../../guest-text.ts";
import type { HttpRule } from "../http-type.ts";
import { token } from "./secret-draft.ts";
import { checkHostPattern } from "./check-host.ts";

const longestPath = 4096;
/** RFC 9110, 9.3, and RFC 5789. */
const knownMethods: ReadonlySet<string> = new Set([
  ...["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"],
]);

/** @param path of the rule, for errors @throws InvalidConfigError */
export function checkHttpRule(
  action: HttpRule["action"],
  { methods, host, path }: { readonly methods?: unknown; readonly host: unknown; readonly path?: unknown },
  where = action as string,
): HttpRule {
  // A host of that name would be nobody's, and the rule would protect from nothing.
  if (typeof host === "string" && knownMethods.has(host)) {
    throw new InvalidConfigError(`the host of ${where} is ${shown(host)}, which is a method`, {
      hint: `Name the host as well, or "*" for every host: ${action}("${host}", "*", "/path/**").`,
    });
  }
  return {
    action,
    methods: checkMethods(where, methods ?? "*"),
    host: checkHostPattern(`the host of ${where}`, host ?? "*"),
    path: path === undefined || path === null ? null : checkPattern(where, path),
  };
}

function checkMethods(where: string, input: unknown): readonly string[] {
  const names = typeof input === "string" ? [input] : checkList(`the methods of ${where}`, input);
  const methods = names.map((name) => {
    if (typeof name === "string" && token.test(name)) return name.toUpperCase();
    throw new InvalidConfigError(`a method of ${where} is ${shown(name)}, which is none`, {
      hint: 'Write "GET", ["GET", "HEAD"], or "*" for all.',
    });
  });
  return methods.includes("*") ? [] : [...new Set(methods)];
}

/**
 * It is compared with paths in one normal form: what these could never have would never match.
 *
 * @returns in Unicode's composed form (NFC), as they are
 */
function checkPattern(where: string, input: unknown): string {
  const path = checkString(`the path of ${where}`, input).normalize("NFC");
  const problem = problemOf(path);
  if (problem === null) return path;
  throw new InvalidConfigError(`the path of ${where} is ${shown(path)}: ${problem}`, {
    hint: 'Write it as "/repos/**": from the first slash, without the query, and characters as they are.',
  });
}

function problemOf(path: string): string | null {
  if (!path.startsWith("/")) return "it does not begin with a slash";
  if (path.length > longestPath) return `it is longer than ${longestPath} characters`;
  const odd = /[?#%\\\p{Cc}]/u.exec(path)?.[0];
  if (odd === "?" || odd === "#") return "what comes after the path is not looked at";
  if (odd === "%") return "escapes are resolved before it is compared";
  if (odd !== undefined) return `it holds ${JSON.stringify(odd)}`;
  if (path.includes(";")) return "parameters of a segment are cut off before";
  if (path.includes("//")) return "several slashes are taken for one before";
  if (path.split("/").some((segment) => segment === "." || segment === ".."))
    return "a path with such dots is refused before";
  return null;
}
