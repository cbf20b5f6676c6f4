/** One character of a token (RFC 9110, 5.6.2), for a regular expression. */
export const tokenCharacter = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";

/**
 * Methods are compared as they are written, but some servers do not look at their case: what is not in capital letters could slip through
 * between the two. Nobody has registered such a method.
 */
export const methodText = "[A-Z][A-Z0-9_-]{0,31}";
/** Of a request. Other bytes than those of a URL are seen in it, but nothing that ends it. */
export const targetText = "[\\x21-\\x7e\\x80-\\xff]+";

const method = new RegExp(`^${methodText}$`);
const target = new RegExp(`^${targetText}$`);
const token = new RegExp(`^${tokenCharacter}+$`);
/** RFC 9110, 7.8: a name, and perhaps a version. */
const protocol = new RegExp(`^${tokenCharacter}+(?:/${tokenCharacter}+)?$`);

/** Whether it can be the name of a field, or an option of `Connection`. */
export function isToken(text: string): boolean {
  return token.test(text);
}

/** Whether it can be a protocol of `Upgrade`. */
export function isProtocol(text: string): boolean {
  return protocol.test(text);
}

export function isMethod(text: string): boolean {
  return method.test(text);
}

export function isTarget(text: string): boolean {
  return target.test(text);
}

/** Whether a target is what it is to be for a server itself, without the host (RFC 9112, 3.2.1 and 3.2.4). */
export function isOfServer(text: string, ofMethod: string): boolean {
  return text.startsWith("/") || (text === "*" && ofMethod === "OPTIONS");
}

/** Without spaces and tabs at its ends, and those only: `trim()` would take bytes above 127 for spaces. */
export function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** What is in a list (RFC 9110, 5.6.1), in lower case. */
export function membersOf(list: string): string[] {
  return list
    .toLowerCase()
    .split(",")
    .map(trim)
    .filter((member) => member !== "");
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
