import assert from "node:assert/strict";
import { test } from "node:test";
import { ImageError } from "../errors/index.ts";
import { parseReference } from "./reference.ts";

const sha256 = "sha256:" + "0123456789abcdef".repeat(4);
const sha512 = "sha512:" + "0123456789abcdef".repeat(8);
const longestPath = "a".repeat(255 - "docker.io/library/".length);

const accepted: readonly (readonly [string, string])[] = [
  ["alpine", "docker.io/library/alpine:latest"],
  ["alpine:3.20", "docker.io/library/alpine:3.20"],
  ["docker.io/alpine", "docker.io/library/alpine:latest"],
  ["index.docker.io/alpine", "docker.io/library/alpine:latest"],
  ["docker.io/library/alpine", "docker.io/library/alpine:latest"],
  ["user/app", "docker.io/user/app:latest"],
  ["a/b/c/d:1", "docker.io/a/b/c/d:1"],
  ["ghcr.io/user/app:v1", "ghcr.io/user/app:v1"],
  ["localhost/app", "localhost/app:latest"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  ["127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"],
  ["[::1]:5000/app", "[::1]:5000/app:latest"],
  ["[2001:db8::1]/app", "[2001:db8::1]/app:latest"],
  ["registry:5000/app", "registry:5000/app:latest"],
  ["Registry/app", "Registry/app:latest"],
  ["xn--n3h.com/app:xn--n3h", "xn--n3h.com/app:xn--n3h"],
  ["foo__bar/b--z.a_b:A.b-C_", "docker.io/foo__bar/b--z.a_b:A.b-C_"],
  [`alpine@${sha256}`, `docker.io/library/alpine@${sha256}`],
  [`alpine@${sha512}`, `docker.io/library/alpine@${sha512}`],
  [`host:1/alpine:3@${sha256}`, `host:1/alpine@${sha256}`],
  ["alpine:" + "t".repeat(128), "docker.io/library/alpine:" + "t".repeat(128)],
  [longestPath, `docker.io/library/${longestPath}:latest`],
];

for (const [text, canonical] of accepted) {
  test(`${text.slice(0, 60)} is a reference`, () => {
    const parsed = parseReference(text);
    assert.equal(parsed.canonical, canonical);
    // The canonical spelling means the same.
    const again = parseReference(parsed.canonical);
    assert.equal(again.canonical, canonical);
    assert.equal(again.domain, parsed.domain);
    assert.equal(again.path, parsed.path);
  });
}

test("a tag beside a digest is kept but does not decide", () => {
  const parsed = parseReference(`alpine:3@${sha256}`);
  assert.equal(parsed.tag, "3");
  assert.equal(parsed.digest, sha256);
  assert.equal(parseReference(`alpine@${sha256}`).tag, null);
});

const refused: readonly (readonly [string, RegExp])[] = [
  ["", /is empty/],
  [" alpine", /white space/],
  ["alpine\n", /white space/],
  ["https://docker.io/alpine", /scheme/],
  ["docker://alpine", /scheme/],
  ["Alpine", /upper-case/],
  ["ghcr.io/User/app", /upper-case/],
  ["alpine:", /tag/],
  ["alpine:-x", /tag/],
  ["alpine:.x", /tag/],
  ["alpine:a/b", /port|registry|host name/],
  ["alpine:" + "t".repeat(129), /tag/],
  [":tag", /no name/],
  ["alpine@", /digest/],
  ["alpine@sha256:abc", /digest/],
  ["alpine@" + sha256.toUpperCase(), /digest/],
  ["alpine@md5:" + "0".repeat(32), /digest/],
  [`alpine@${sha256}@${sha256}`, /digest/],
  ["@" + sha256, /no name/],
  ["a//b", /empty part/],
  ["/alpine", /empty part/],
  ["alpine/", /empty part/],
  ["../alpine", /not allowed|no host name/],
  ["host.com/../x", /not allowed/],
  ["a..b", /not allowed/],
  ["a___b", /not allowed/],
  ["-a", /not allowed/],
  ["a-", /not allowed/],
  ["aé", /not allowed/],
  ["-host.com/a", /no host name/],
  ["host..com/a", /no host name/],
  ["host:/a", /no host name/],
  ["host:0/a", /port/],
  ["host:65536/a", /port/],
  ["::1/a", /no host name/],
  ["a".repeat(256), /longer than 255/],
  [longestPath + "a", /longer than 255/],
  ["a-".repeat(100_000), /too long/],
  ["0123456789abcdef".repeat(4), /image id/],
];

for (const [text, message] of refused) {
  test(`${JSON.stringify(text.slice(0, 60))} is none`, () => {
    assert.throws(
      () => parseReference(text),
      (error) => {
        assert.ok(error instanceof ImageError);
        assert.match(error.message, message);
        assert.notEqual(error.hint, "");
        return true;
      },
    );
  });
}

/** A small generator, the same on every machine (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test("whatever the text, it is refused with an ImageError or read the same way twice", () => {
  const next = generator(20250101);
  const pieces = [
    ...Array.from("aZ09._-:/@[]%\\ \u0000é"),
    ..."sha256:|localhost|docker.io|..|__|::1|:5000|/|@|latest".split("|"),
    sha256,
    "a".repeat(200),
  ];
  let valid = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const count = 1 + Math.floor(next() * 8);
    let text = "";
    for (let i = 0; i < count; i += 1) text += pieces[Math.floor(next() * pieces.length)] ?? "";
    try {
      const { canonical, domain, path } = parseReference(text);
      const again = parseReference(canonical);
      assert.deepEqual([again.canonical, again.domain, again.path], [canonical, domain, path], text);
      assert.ok(!path.split("/").includes("..") && !path.includes("\0"), text);
      valid += 1;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  assert.ok(valid > 500, `only ${valid} of the generated texts were references`);
});
