import { domainToASCII } from "node:url";
import { InvalidConfigError } from "../../../../errors/index.ts";
import { shown } from "../../../checks.ts";
import { normalizeDomainName } from "../../policy/domain-name.ts";
import { anyHost, type HostPattern } from "../host-pattern.ts";

const nameHint = "Write a name such as api.example.com: no scheme, no port, no path.";

/**
 * A name in lower case and without a dot at its end; one in another script as it is asked, `xn--…`.
 *
 * @param what for errors: `allowHost`
 * @throws InvalidConfigError
 */
export function checkHost(what: string, input: unknown): HostPattern {
  if (input === anyHost) {
    throw new InvalidConfigError(`${what} is "*", which is everybody`, {
      hint: "Name the hosts. Who means everybody calls allowAnyHostDangerous(true) for a secret.",
    });
  }
  if (typeof input === "string" && input.startsWith("*.")) {
    throw new InvalidConfigError(`${what} is ${shown(input)}, which is no name but a pattern`, {
      hint: "Patterns have setters and keys of their own, such as allowHostPattern.",
    });
  }
  return normalized(what, input);
}

/** The same for a name or `*.` and a name, which is that name and all below it. @throws InvalidConfigError */
export function checkNameOrSuffix(what: string, input: unknown): HostPattern {
  if (typeof input !== "string" || !input.startsWith("*.")) return checkHost(what, input);
  return `*.${normalized(what, input.slice(2), input)}`;
}

/** The same, or `*`. @throws InvalidConfigError */
export function checkHostPattern(what: string, input: unknown): HostPattern {
  return input === anyHost ? anyHost : checkNameOrSuffix(what, input);
}

function normalized(what: string, input: unknown, whole = input): string {
  const text = typeof input === "string" ? input : "";
  // It turns some text of ASCII into addresses: 1.2 into 1.0.0.2.
  const ascii = /^[\0-\x7f]*$/.test(text) ? text : domainToASCII(text);
  const found = ascii === "" ? { problem: problemOf(input) } : normalizeDomainName(ascii);
  if ("name" in found && !text.startsWith(".")) return found.name;
  const problem = "problem" in found ? found.problem : "it begins with a dot";
  throw new InvalidConfigError(`${what} is ${shown(whole)}, which is no host: ${problem}`, {
    hint: nameHint,
  });
}

function problemOf(input: unknown): string {
  if (typeof input !== "string") return "it is not text";
  return input === "" ? "it is empty" : "it is no name in any script";
}
