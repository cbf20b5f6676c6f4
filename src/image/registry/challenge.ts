/** One challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1). Names are in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameterPattern = new RegExp(`[\\s,]*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, "y");
const schemePattern = new RegExp(`[\\s,]*(${token})(?=\\s|,|$)`, "y");
/** A challenge's only parameter, as `Negotiate` has it; with padding it looks like one that has no value. */
const token68Pattern = /\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;
/** What is not understood ends where the next challenge may begin. */
const restPattern = /[^,]*,/y;
const maximumLength = 8192;

/** Reads as many challenges as are well-formed; several headers may have been joined with commas. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  if (header.length > maximumLength) return challenges;
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const found = pattern.exec(header);
    if (found !== null) position = pattern.lastIndex;
    return found;
  };
  for (;;) {
    const scheme = match(schemePattern)?.[1];
    if (scheme === undefined) {
      if (match(restPattern) === null) return challenges;
      continue;
    }
    const parameters = new Map<string, string>();
    match(token68Pattern);
    for (;;) {
      const [, name, quoted, plain] = match(parameterPattern) ?? [];
      if (name === undefined) break;
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "");
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
}
