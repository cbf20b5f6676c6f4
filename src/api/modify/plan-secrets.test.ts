import assert from "node:assert/strict";
import { test } from "node:test";
import { secret } from "../../../test/support/secret-sample.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { SecretModifySpec } from "./modification-plan.ts";
import { planSecrets } from "./plan-secrets.ts";

const before = [
  secret({ envVar: "KEY", placeholder: "$KEY", hosts: ["api.example.com"] }),
  secret({ envVar: "TOKEN", placeholder: "$TOKEN", hosts: ["*.example.com"], source: { kind: "provider" } }),
];
const plan = (specs: Record<string, SecretModifySpec>, removed: readonly string[] = []) =>
  planSecrets(before, specs, removed, (change) => (change === "added" ? "requires restart" : "live"));

const rows: readonly (readonly [
  what: string,
  Record<string, SecretModifySpec>,
  readonly string[],
  readonly string[],
])[] = [
  ["nothing", {}, [], []],
  ["a value", { KEY: { value: "the-new" } }, [], ["KEY rotated stored>stored live"]],
  ["a value for a function", { TOKEN: { value: "the-new" } }, [], ["TOKEN rotated provider>stored live"]],
  ["hosts", { KEY: { allowedHosts: ["b.example"] } }, [], ["KEY hosts updated stored>stored live"]],
  ["the same hosts", { KEY: { allowedHosts: ["api.example.com"] } }, [], []],
  ["a placeholder", { KEY: { placeholder: "$OTHER" } }, [], ["KEY placeholder updated stored>stored live"]],
  ["a removal", {}, ["KEY", "KEY"], ["KEY removed stored> live"]],
  ["a removal of what is not there", {}, ["GONE"], []],
  [
    "a new one",
    { NEW: { value: "v-w", allowedHosts: ["c.example"] } },
    [],
    ["NEW added >stored requires restart"],
  ],
];

for (const [what, specs, removed, expected] of rows) {
  test(`of a modification, ${what} is planned, and no value is in the plan`, () => {
    const { changes, conflicts } = plan(specs, removed);
    assert.deepEqual(conflicts, []);
    assert.deepEqual(
      changes.map(({ name, change, beforeRef = "", afterRef = "", disposition }) =>
        [name, change, `${beforeRef}>${afterRef}`, disposition].join(" "),
      ),
      expected,
    );
    assert.doesNotMatch(JSON.stringify(changes), /the-new|v-w/);
  });
}

test("what is not said of a secret stays, and values are beside the plan", () => {
  const { secrets, values } = plan({ KEY: { value: "the-new" } }, ["TOKEN"]);
  assert.deepEqual(secrets, [before[0]]);
  assert.deepEqual(
    [...values],
    [
      ["TOKEN", null],
      ["KEY", "the-new"],
    ],
  );
  const restricted = [
    secret({ injection: { headers: ["x-api-key"], basicAuth: false, queryParams: true, body: false } }),
  ];
  const moved = planSecrets(restricted, { KEY: { allowedHosts: ["b.example"] } }, [], () => "live");
  assert.deepEqual(moved.secrets, [{ ...restricted[0], hosts: ["b.example"] }]);
});

const conflicts: readonly (readonly [Record<string, SecretModifySpec>, readonly string[], RegExp])[] = [
  [{ "": { value: "v" } }, [], /no name/],
  [{ KEY: { value: "v", env: "V" } }, [], /more than once/],
  [{ KEY: { store: "vault" } }, [], /store/],
  [{ NEW: { allowedHosts: ["a.example"] } }, [], /needs a value/],
  [{ NEW: { value: "v" } }, [], /needs a host/],
  [{ KEY: { allowedHosts: [] } }, [], /nobody may have/],
  [{ KEY: { value: "v" } }, ["KEY"], /configured and removed/],
];

for (const [specs, removed, message] of conflicts) {
  test(`a modification that contradicts itself is told: ${String(message)}`, () => {
    const planned = plan(specs, removed);
    assert.match(planned.conflicts[0]?.message ?? "", message);
    assert.deepEqual(planned.secrets, before);
  });
}

test("a value is checked by the places of the secret that there is", () => {
  const inBodies = [
    secret({
      envVar: "KEY",
      injection: { headers: false, basicAuth: false, queryParams: false, body: true },
    }),
  ];
  const rotated = planSecrets(inBodies, { KEY: { value: "two\nlines" } }, [], () => "live");
  assert.deepEqual([...rotated.values], [["KEY", "two\nlines"]]);
  const inQueries = [
    secret({
      envVar: "KEY",
      injection: { headers: false, basicAuth: false, queryParams: true, body: false },
    }),
  ];
  assert.throws(
    () => planSecrets(inQueries, { KEY: { value: "a b#c" } }, [], () => "live"),
    (error) => error instanceof InvalidConfigError && !`${error.message}${error.hint}`.includes("a b#c"),
  );
});

test("names that every object has are names like others, and hosts in another order are the same", () => {
  for (const name of ["constructor", "toString", "__proto__"])
    assert.deepEqual(plan({}, [name]).conflicts, []);
  const [first] = before;
  const two = first === undefined ? [] : [{ ...first, hosts: ["a.example", "b.example"] }];
  const same = planSecrets(two, { KEY: { allowedHosts: ["b.example", "a.example"] } }, [], () => "live");
  assert.deepEqual(same.changes, []);
  assert.deepEqual(same.secrets, two);
});

test("what a secret cannot be is refused as when it is made, without its value", () => {
  for (const spec of [
    { value: "" },
    { value: "two\nlines" },
    { allowedHosts: ["*"], value: "$KEY" },
    { env: "MSB_TEST_NOT_SET" },
    { valeu: "x" },
  ]) {
    assert.throws(
      () => plan({ KEY: spec }),
      (error) => {
        assert.ok(error instanceof InvalidConfigError, String(error));
        assert.doesNotMatch(`${error.message}${error.hint}`, /two\nlines/);
        return true;
      },
    );
  }
  // Two that one host cannot tell from each other.
  assert.throws(() => plan({ KEY: { placeholder: "$TOKEN" } }), InvalidConfigError);
});
