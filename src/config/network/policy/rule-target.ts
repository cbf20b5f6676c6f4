import { InvalidConfigError } from "../../../errors/index.ts";
import { isIP } from "node:net";
import { Cidr } from "../../../host/ip/cidr.ts";
import { nearest } from "../../keys/nearest.ts";
import type { Destination, DestinationGroup } from "../policy-type.ts";
import { domainDestination, suffixDestination } from "./destination-builder.ts";
import { DestinationGroups } from "./rules.ts";

/** The gateway's resolver: no destination of its own, but UDP and TCP to port 53 of the host's group. */
export type RuleTarget = Destination | { readonly kind: "dns" };

/** How groups are called in rules that are written as text, besides by their own name. */
const groupAliases: Readonly<Record<string, DestinationGroup>> = { meta: "metadata" };
const targetWords = ["any", "dns", ...Object.keys(groupAliases), ...DestinationGroups];

/** What is written about a target, and what follows it. */
interface SplitTarget {
  readonly target: string;
  /** What stands between colons after it. */
  readonly fields: readonly string[];
}

/**
 * Separates a target from protocol and ports.
 *
 * @throws InvalidConfigError for brackets that are not closed or hold no IPv6 address
 */
export function splitTarget(text: string): SplitTarget {
  if (text.includes("://")) {
    throw new InvalidConfigError(`${JSON.stringify(text)} is a URL, which is no target`, {
      hint: "Write the name alone, and protocol and port behind it: example.com:tcp:443.",
    });
  }
  if (!text.startsWith("[")) {
    if (isIP(text.replace(/\/\d*$/, "")) === 6 || text.includes("::")) throw needsBrackets(text);
    const [target = "", ...fields] = text.split(":");
    return { target, fields };
  }
  const end = text.indexOf("]");
  if (end === -1) {
    throw new InvalidConfigError(`the bracket in ${JSON.stringify(text)} is not closed`, {
      hint: "Write [2001:db8::1], and protocol and ports behind it: [2001:db8::1]:tcp:443.",
    });
  }
  const inside = text.slice(1, end);
  const rest = text.slice(end + 1);
  if (Cidr.parse(inside)?.family !== 6) {
    throw new InvalidConfigError(`[${inside}] is no IPv6 address or range`, {
      hint: "Brackets are for IPv6 alone: write names and IPv4 addresses without.",
    });
  }
  if (rest !== "" && !rest.startsWith(":")) {
    throw new InvalidConfigError(
      `there is ${JSON.stringify(rest)} after the bracket in ${JSON.stringify(text)}`,
      {
        hint: `Separate it with a colon: [${inside}]:tcp:443.`,
      },
    );
  }
  return { target: inside, fields: rest === "" ? [] : rest.slice(1).split(":") };
}

export function needsBrackets(text: string): InvalidConfigError {
  return new InvalidConfigError(`${JSON.stringify(text)} has too many fields`, {
    hint: "Write an IPv6 address or range in brackets: [2001:db8::1]:tcp:443.",
  });
}

/**
 * Whom a rule is about, as text: `any`, `dns`, a group, an address, a range, a name with a dot, `domain=NAME`, `suffix=NAME`, `*.NAME`.
 *
 * @throws InvalidConfigError
 */
export function parseTarget(text: string): RuleTarget {
  if (text === "any" || text === "dns") return { kind: text };
  const group = groupAliases[text] ?? DestinationGroups.find((known) => known === text);
  if (group !== undefined) return { kind: "group", group };
  if (text.startsWith("domain=")) return domainDestination(text.slice("domain=".length));
  if (text.startsWith("suffix=")) return suffixDestination(text.slice("suffix=".length));
  if (text.startsWith("*.")) return suffixDestination(text.slice("*.".length));
  const range = Cidr.parse(text);
  if (range !== null) return { kind: "cidr", cidr: range.toString() };
  if (/^[\d.]+(?:\/.*)?$/.test(text)) {
    throw new InvalidConfigError(`${JSON.stringify(text)} is no address and no range`, {
      hint: "Write four decimal numbers, such as 198.51.100.5, and for a range the bits that count: 10.0.0.0/8.",
    });
  }
  if (text.includes(".")) return domainDestination(text);
  throw notATarget(text);
}

/** One label may be a group that is misspelt, or a name. */
function notATarget(text: string): InvalidConfigError {
  if (text === "" || text === "*") {
    return new InvalidConfigError(text === "" ? "the rule has no target" : 'the target "*" is ambiguous', {
      hint: `Use any for every address, *.example.com for names, or one of: ${targetWords.join(", ")}.`,
    });
  }
  const meant = nearest(text, targetWords);
  const suggestion = meant === null ? "" : `: did you mean ${JSON.stringify(meant)}?`;
  return new InvalidConfigError(`the target ${JSON.stringify(text)} is ambiguous${suggestion}`, {
    hint: `For a name of one label write domain=${text}. Targets are addresses, ranges, names, and ${targetWords.join(", ")}.`,
  });
}
