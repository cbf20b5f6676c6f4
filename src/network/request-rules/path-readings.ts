/** Of a path. Servers take some 8 KiB. */
const longestPath = 8 * 1024;
/** Of one that may be read in several ways, each of which is compared with each pattern. */
const longestOddPath = 2 * 1024;

/** What everybody reads as it stands: no escapes, no parameters, no names of several slashes; dots are looked at apart. */
const plain = /^\/(?:[a-zA-Z0-9_.~!$&'()*+,=:@-]+(?:\/|$))*$/;
const dotSegment = /(?:^|\/)\.{1,2}(?=\/|$)/;
/** Control characters; a backslash, which some take for a slash. */
const neverRead = /[\0-\x1f\x7f\\]/;
const escape = /%[0-9a-f]{2}/i;
const badEscape = /%(?![0-9a-f]{2})/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * What different servers may take a path to be, in one normal form: escapes decoded, as text in Unicode's composed form (NFC). A rule has to
 * hold for each: `/a%2fb` is one name to some and two to others, `/a;x/b` is `/a/b` to some, `//a/b` is `/b` of a host `a` to others.
 *
 * @param target origin form or absolute form, in latin1; the query counts for nothing
 * @returns at least one path, each from `/` on. null: nobody can be sure what it is. No client that means well writes dot segments,
 * backslashes, control characters, a fragment, half an escape, one that is escaped three times, or what is no UTF-8
 */
export function pathReadings(target: string): ReadonlySet<string> | null {
  const written = pathOf(target);
  if (written === null || written.length > longestPath || dotSegment.test(written)) return null;
  if (plain.test(written)) return new Set([written]);
  if (written.length > longestOddPath || written.includes("#") || badEscape.test(written)) return null;
  const readings = new Set<string>();
  for (const text of decodings(written))
    // Some cut parameters off, or what looks like a query once it is decoded.
    for (const cut of [text, withoutParameters(text), text.split(/[?#]/, 1)[0] ?? ""])
      // Some take several slashes for one, some what follows two at the beginning for a host (RFC 3986, 4.2).
      for (const path of [cut, collapsed(cut), collapsed(cut.replace(/^\/{2,}[^/]*/, "/"))]) {
        const reading = decoded(path);
        if (reading === null || neverRead.test(reading) || dotSegment.test(reading)) return null;
        readings.add(reading);
      }
  return readings;
}

/** @returns null: it is none */
function pathOf(target: string): string | null {
  // Of the server as a whole.
  if (target === "*") return "/*";
  const absolute = /^https?:\/\/[^/?#]*/i.exec(target)?.[0];
  const [path = ""] = target.slice(absolute?.length ?? 0).split("?", 1);
  if (path === "" && absolute !== undefined) return "/";
  return path.startsWith("/") ? path : null;
}

/** Those who decode not at all keep `%2f` from being a slash; others decode what was decoded before, or cut parameters off before that. */
function* decodings(path: string): Iterable<string> {
  yield path.replace(/%(?!2f)([0-9a-f]{2})/gi, character);
  for (const text of [path, withoutParameters(path)]) {
    const once = decodedOnce(text);
    yield once;
    const twice = decodedOnce(once);
    yield twice;
    // What is left is for nobody to guess: it is no path below.
    if (escape.test(twice)) yield "\0";
  }
}

/** Each escape that is one, as a code unit; what is none stays. */
function decodedOnce(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, character);
}

function character(_: string, digits: string): string {
  return String.fromCharCode(parseInt(digits, 16));
}

/** Of each segment (RFC 3986, 3.3). */
function withoutParameters(path: string): string {
  return path.replace(/;[^/]*/g, "");
}

function collapsed(path: string): string {
  return path.replace(/\/{2,}/g, "/");
}

/** @param path in latin1 @returns null: it is no UTF-8 */
function decoded(path: string): string | null {
  try {
    return utf8.decode(Buffer.from(path, "latin1")).normalize("NFC");
  } catch {
    return null;
  }
}
