import { ImageError } from "../errors/index.ts";
import { parseDigest } from "./digest.ts";

/**
 * The name of an image as docker writes it. The grammar is that of the distribution project's `reference` package:
 * `[domain[:port]/]path[:tag][@digest]`, where a first part without a dot, a colon or upper-case letters that is not
 * `localhost` belongs to the path.
 */
export interface ImageReference {
  /** The registry with its port, as written; `docker.io` when the reference names none. */
  readonly domain: string;
  /** Below the registry, such as `library/alpine`. */
  readonly path: string;
  /** Null only when there is a digest. */
  readonly tag: string | null;
  /** `sha256:…`; it decides when there is a tag too. */
  readonly digest: string | null;
  /** The one spelling under which the image is stored: with domain, and with the digest or else the tag. */
  readonly canonical: string;
}

const defaultDomain = "docker.io";
/** What docker.io was called once, and still is in some files. */
const legacyDefaultDomain = "index.docker.io";
const maximumNameLength = 255;
/** A name, a tag and a sha512 digest fit; patterns never see more. */
const maximumTextLength = 1024;

const domainLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(
  `^(?:${domainLabel}(?:\\.${domainLabel})*|\\[[a-fA-F0-9:]+\\])(?::([0-9]+))?$`,
);
const pathPartPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads a reference and fills in the default registry, `library/` and the tag `latest`.
 *
 * @throws ImageError with a hint on the part that is wrong
 * @example
 * ```ts
 * parseReference("alpine").canonical; // "docker.io/library/alpine:latest"
 * ```
 */
export function parseReference(text: string): ImageReference {
  if (text === "") throw bad(text, "is empty", "Name an image, such as alpine or python:3.12.");
  if (text.length > maximumTextLength) throw bad(text, "is too long", "Use a shorter name.");
  if (/\s/.test(text)) throw bad(text, "contains white space", "Remove the spaces.");
  if (text.includes("://")) {
    throw bad(text, "has a scheme", `Leave out ${text.slice(0, text.indexOf("://") + 3)}.`);
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? null : checkDigest(text, text.slice(at + 1));
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? checkTag(text, named.slice(colon + 1)) : null;
  const name = hasTag ? named.slice(0, colon) : named;
  if (name === "") throw bad(text, "has no name", "Name an image, such as alpine or python:3.12.");
  if (/^[0-9a-f]{64}$/.test(name)) {
    throw bad(text, "is an image id", "Use the image's name, or name@sha256:<digest>.");
  }
  const { domain, path } = splitDomain(name);
  if (domain !== defaultDomain) checkDomain(text, domain);
  checkPath(text, path);
  if (domain.length + 1 + path.length > maximumNameLength) {
    throw bad(text, `is longer than ${maximumNameLength} characters`, "Use a shorter name.");
  }
  const effectiveTag = tag ?? (digest === null ? "latest" : null);
  const suffix = digest === null ? `:${effectiveTag ?? "latest"}` : `@${digest}`;
  return { domain, path, tag: effectiveTag, digest, canonical: `${domain}/${path}${suffix}` };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, slash);
  const isDomain =
    slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  const domain = !isDomain || first === legacyDefaultDomain ? defaultDomain : first;
  const path = isDomain ? name.slice(slash + 1) : name;
  return { domain, path: domain === defaultDomain && !path.includes("/") ? `library/${path}` : path };
}

function checkDomain(text: string, domain: string): void {
  const match = domainPattern.exec(domain);
  if (match === null) {
    throw bad(
      text,
      `has the registry ${JSON.stringify(domain)}, which is no host name`,
      "Write it as host or host:port.",
    );
  }
  const port = match[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) {
    throw bad(text, `has the port ${port}`, "A port is a number from 1 to 65535.");
  }
}

function checkPath(text: string, path: string): void {
  for (const part of path.split("/")) {
    if (pathPartPattern.test(part)) continue;
    if (part === "") throw bad(text, "has an empty part between slashes", "Remove the slash too many.");
    if (/[A-Z]/.test(part)) {
      throw bad(text, "has upper-case letters in its name", `Write it in lower case: ${text.toLowerCase()}`);
    }
    const hint = "Use lower-case letters and digits, with single '.' or '_', '__' or '-' between them.";
    throw bad(text, `has the part ${JSON.stringify(part)}, which is not allowed`, hint);
  }
}

function checkTag(text: string, tag: string): string {
  if (tagPattern.test(tag)) return tag;
  const hint = "A tag is 1 to 128 letters, digits, '_', '.' and '-', and begins with none of the last two.";
  throw bad(text, `has the tag ${JSON.stringify(tag.slice(0, 140))}`, hint);
}

function checkDigest(text: string, digest: string): string {
  if (parseDigest(digest) !== null) return digest;
  throw bad(
    text,
    "has a digest that is none",
    "Write it as @sha256: followed by 64 lower-case hexadecimal digits.",
  );
}

function bad(text: string, problem: string, hint: string): ImageError {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  return new ImageError(`the image reference ${JSON.stringify(shown)} ${problem}`, { hint });
}

/** The very image, whatever its tag means by now. */
export function pinnedName(reference: string, manifestDigest: string): string {
  const { domain, path } = parseReference(reference);
  return `${domain}/${path}@${manifestDigest}`;
}
