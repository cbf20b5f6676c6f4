import assert from "node:assert/strict";
import { test } from "node:test";
import { policy } from "../../../../test/support/policy-sample.ts";
import { shadowedRules } from "./shadowed-rules.ts";

/** Rules, and which of them are shadowed by which, as `rule<by`. */
const rows: readonly (readonly [string, string])[] = [
  ["allow any; deny public", "1<0"],
  ["deny public; allow any", ""],
  ["allow any-direction public; deny ingress public; deny public; deny any-direction public", "1<0 2<0 3<0"],
  ["allow public; deny any-direction public", ""],
  ["allow public; deny ingress public", ""],
  ["allow private; deny 10.0.0.0/8", ""],
  ["allow public; deny private", ""],
  ["allow 10.0.0.0/8; deny 10.1.0.0/16; deny 10.0.0.0/8; deny 10.0.0.0/7; deny 11.0.0.0/8", "1<0 2<0 4<3"],
  ["allow 0.0.0.0/0; deny 8.8.8.8/32; deny 2001:db8::/32", "1<0"],
  ["allow fd00::/8; deny fd12::/16", "1<0"],
  ["allow public tcp; deny public tcp; deny public udp; deny public", "1<0"],
  ["allow public tcp,udp; deny public tcp; deny public udp,tcp", "1<0 2<0"],
  ["allow public; deny public tcp 443", "1<0"],
  ["allow public tcp 443; deny public tcp", ""],
  ["allow public tcp 80-90; deny public tcp 81-89; deny public tcp 80,90; deny public tcp 89-91", "1<0 2<0"],
  ["allow public tcp 80,81; deny public tcp 80-81", ""],
  ["allow example.org; deny example.org; deny .example.org", ""],
  ["allow any; deny example.org", ""],
  ["allow any; allow private; allow private tcp 443; allow any udp", "2<0 3<0"],
  ["deny any; allow private; allow 10.0.0.0/8; allow public tcp 443", "1<0 2<0 3<0"],
  ["allow public; deny public tcp; deny public udp", "1<0 2<0"],
];

for (const [rules, expected] of rows)
  test(`shadowed in ${rules}`, () => {
    const found = shadowedRules(policy(`deny/allow; ${rules}`));
    assert.equal(found.map(({ rule, by }) => `${rule}<${by}`).join(" "), expected);
  });

test("ranges of a long list", () => {
  const ranges = Array.from(
    { length: 5000 },
    (_, index) => `deny ${1 + (index % 200)}.${index % 251}.0.0/24`,
  );
  const long = policy(`allow/allow; ${ranges.join("; ")}; deny 7.0.0.0/8; deny 7.99.1.0/24; deny 7.7.7.7/32`);
  const found = shadowedRules(long).filter(({ rule }) => rule >= 5000);
  assert.deepEqual(found, [
    { rule: 5001, by: 5000 },
    { rule: 5002, by: 5000 },
  ]);
});
