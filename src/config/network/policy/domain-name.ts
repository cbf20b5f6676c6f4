/** What is wrong with a name, as a clause; null: nothing. */
export type DomainNameProblem = string;

/** Bytes of a name's text: RFC 1035, 2.3.4, without the root's dot. */
const longestName = 253;
const longestLabel = 63;

/**
 * A name as rules have it: lower case, without dots at either end. Underscores may be in it, as in `_dmarc.example.com`; names in other
 * scripts are written as they are asked, `xn--…` (RFC 5891).
 *
 * @param text as a person writes it: `Example.Org.`, `.files.example.net`
 */
export function normalizeDomainName(
  text: string,
): { readonly name: string } | { readonly problem: DomainNameProblem } {
  const name = text.replace(/^\.+/, "").replace(/\.+$/, "").toLowerCase();
  if (name === "") return { problem: "it is empty" };
  const odd = /[^a-z0-9_.-]/u.exec(name);
  if (odd !== null) return { problem: problemOf(odd[0]) };
  if (name.length > longestName) return { problem: `it is longer than ${longestName} bytes` };
  for (const label of name.split(".")) {
    if (label === "") return { problem: "two dots are side by side" };
    if (label.length > longestLabel) return { problem: `a label is longer than ${longestLabel} bytes` };
  }
  return { name };
}

function problemOf(character: string): DomainNameProblem {
  if (character === ":") return "a port is not part of it";
  if (character === "/" || character === "@" || character === "?" || character === "#")
    return `${JSON.stringify(character)} is not part of a name: it looks like a URL`;
  if (character === "*") return "it has a *: only the whole first label may be one, for a suffix";
  if (/\s/u.test(character)) return "it holds a space";
  return `it holds ${JSON.stringify(character)}; names in other scripts are written as xn--…`;
}

/** Whether a suffix is one label, such as `com`: nobody means all of that. */
export function isOneLabel(name: string): boolean {
  return !name.includes(".");
}
