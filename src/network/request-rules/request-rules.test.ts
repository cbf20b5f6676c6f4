import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpRule } from "../../config/network/interception/http-type.ts";
import { checkHttpRule } from "../../config/network/interception/builders/http-rule.ts";
import { denialAnswer } from "./denial-answer.ts";
import { matchesPath } from "./path-pattern.ts";
import { pathReadings } from "./path-readings.ts";
import { decideRequest, mayRefuse, type RequestedHost } from "./request-rules.ts";

function rule(
  action: HttpRule["action"],
  methods: string,
  host: string,
  path: string | null = null,
): HttpRule {
  return { action, methods: methods === "" ? [] : methods.split(" "), host, path };
}

function proved(host: string | null): RequestedHost {
  return { host, isBoundTo: null };
}

const repos: readonly HttpRule[] = [
  rule("allow", "GET HEAD", "api.github.com", "/repos/**"),
  rule("allow", "POST", "*.example.com"),
  rule("deny", "", "*"),
];

const decisions: readonly (readonly [
  method: string,
  host: string | null,
  target: string,
  expected: string,
])[] = [
  ["GET", "api.github.com", "/repos/a/b", "allow 0"],
  ["GET", "api.github.com", "/repos/", "allow 0"],
  ["GET", "api.github.com", "/repos", "deny 2"],
  ["GET", "api.github.com", "/repos/a?x=/../../user", "allow 0"],
  ["GET", "api.github.com", "https://api.github.com/repos/a", "allow 0"],
  ["get", "api.github.com", "/repos/a", "allow 0"],
  ["DELETE", "api.github.com", "/repos/a", "deny 2"],
  ["GET", "api.github.com", "/user", "deny 2"],
  ["GET", "api.github.com", "/Repos/a", "deny 2"],
  ["GET", "raw.github.com", "/repos/a", "deny 2"],
  ["POST", "example.com", "/anything", "allow 1"],
  ["POST", "a.b.example.com", "/", "allow 1"],
  ["POST", "notexample.com", "/", "deny 2"],
  ["GET", null, "/repos/a", "deny 2"],
  // Ways out of the path that is allowed.
  ...[
    ...["/repos/../user", "/repos/%2e%2e/user", "/repos/%2E%2e%2fuser", "/repos/..%2fuser", "/repos/./a"],
    ...["/repos/%252e%252e/user", "/repos/..;/user", "/repos/..;a=b/user", "/repos/..\\user"],
    ...["/repos/%5c..%5cuser", "/repos/x#/../../user", "/repos/x#", "/repos/%", "/repos/%u0061", "repos/a"],
    ...["/repos/%25252e", "/repos/%E4", "/repos/%c0%af", "/repos/a%00", "/repos/a%0a"],
    ...[`/repos/${"a".repeat(9000)}`, `/repos/%41${"a".repeat(3000)}`],
  ].map((target) => ["GET", "api.github.com", target, "deny 0"] as const),
  ["GET", "api.github.com", "//repos/a", "deny 2"],
  ["GET", "api.github.com", "/repos//a", "allow 0"],
  ["GET", "api.github.com", "/repos/a%2Fb", "allow 0"],
  ["GET", "api.github.com", "/repos/C%23;v=1/My%20File%3f/100%25", "allow 0"],
  ["GET", "api.github.com", `/repos/a?${"a".repeat(9000)}`, "allow 0"],
  // No rule that could deny has a say.
  ["POST", "example.com", "/a/../b", "allow 1"],
];

for (const [method, host, target, expected] of decisions) {
  test(`${method} ${String(host)} ${target.slice(0, 60)} is ${expected}`, () => {
    const { action, rule: index } = decideRequest(repos, method, proved(host), target);
    assert.equal(`${action} ${String(index)}`, expected);
  });
}

test("what no rule is about is allowed, as its connection was", () => {
  const only = [rule("deny", "DELETE", "api.github.com")];
  assert.deepEqual(decideRequest(only, "GET", proved("api.github.com"), "/"), {
    action: "allow",
    rule: null,
  });
  assert.deepEqual(decideRequest(only, "delete", proved("api.github.com"), "/"), { action: "deny", rule: 0 });
  assert.deepEqual(decideRequest([], "DELETE", proved(null), "/"), { action: "allow", rule: null });
});

test("a path that is denied cannot be written in another way", () => {
  const rules = [rule("deny", "", "a.b", "/admin/**")];
  for (const path of [
    ...["/admin/x", "/./admin/x", "/y/../admin/x", "/%61dmin/x", "//admin//x", "/y/..%2fadmin/x"],
    ...["/\\admin\\x", "/;a/../admin/x", "/admin", "/admin/", "/admin/x/../../public", "/admin/..%2fpublic"],
    ...["//a.b/admin/x", "///a.b//admin/x", "/%2561dmin/x", "/%25252561dmin/x", "/%u0061dmin/x"],
    ...["/admin;a%2fb/x", "/admin;a/x", "/admin%3ba/x", "/admin%3fx", "/admin%23x", "/x#/../admin/y"],
    ...["http://a.b/admin/x", "http://a.b//admin/x", "admin/x"],
  ])
    assert.equal(decideRequest(rules, "GET", proved("a.b"), path).action, "deny", path);
  for (const path of ["/administrator", "/", "/x/admin/y", "/a%2fadmin/x", "/a//b", "http://a.b"])
    assert.equal(decideRequest(rules, "GET", proved("a.b"), path).action, "allow", path);
  const users = [rule("deny", "", "a.b", "/admin/users"), rule("deny", "", "a.b", "/files/*/raw")];
  for (const path of ["/admin;%2f..%2fp/users", "/admin/users/", "/files/a%2fb/raw", "/files/a/raw"])
    assert.equal(decideRequest(users, "GET", proved("a.b"), path).action, "deny", path);
});

test("a path of other letters is compared as text, however it is written", () => {
  const secretPath = checkHttpRule("deny", { host: "a.b", path: "/geheim-a\u0308/**" });
  const raw = Buffer.from("/geheim-ä/x").toString("latin1");
  for (const path of ["/geheim-%C3%A4/x", "/geheim-a%CC%88/x", "/geheim-%25C3%25A4/x", "/geheim-%E4/x", raw])
    assert.equal(decideRequest([secretPath], "GET", proved("a.b"), path).action, "deny", path);
  const allowed = [checkHttpRule("allow", { host: "a.b", path: "/ü b/**" }), rule("deny", "", "*")];
  assert.equal(decideRequest(allowed, "GET", proved("a.b"), "/%C3%BC%20b/x").action, "allow");
  assert.equal(decideRequest(allowed, "GET", proved("a.b"), "/%C3%BD%20b/x").action, "deny");
});

test("where nobody has proved a name, it counts what is said and what the address is known for", () => {
  const at = (host: string | null, ...names: string[]): RequestedHost => ({
    host,
    isBoundTo: (matches) => names.some(matches),
  });
  const denied = [rule("deny", "", "a.b", "/admin/**")];
  const rows: readonly (readonly [readonly HttpRule[], RequestedHost, string])[] = [
    [denied, at("a.b", "a.b"), "deny 0"],
    [denied, at("a.b"), "deny 0"],
    [denied, at("1.2.3.4", "a.b"), "deny 0"],
    [denied, at("other.example", "other.example", "a.b"), "deny 0"],
    [denied, at("other.example", "other.example"), "allow null"],
    [[rule("allow", "", "a.b"), rule("deny", "", "*")], at("a.b", "a.b"), "allow 0"],
    [[rule("allow", "", "a.b"), rule("deny", "", "*")], at("a.b", "c.b"), "deny 1"],
    [[rule("allow", "", "*.b"), rule("deny", "", "*")], at("a.b", "c.b"), "allow 0"],
    // The first that is about it decides.
    [[rule("allow", "", "c.d"), ...denied], at("c.d", "c.d", "a.b"), "allow 0"],
  ];
  for (const [rules, about, expected] of rows) {
    const { action, rule: index } = decideRequest(rules, "GET", about, "/admin/x");
    assert.equal(`${action} ${String(index)}`, expected, about.host ?? "");
  }
});

test("what is written to be slow to compare is not", () => {
  const rules = Array.from({ length: 50 }, () => rule("deny", "", "a.b", "/*%*/**/x/*".replace("%", "a")));
  const before = process.cpuUsage();
  for (const unit of ["%2561;a//", "%253b%2f", ";%61/", "//%25"])
    decideRequest(rules, "GET", proved("a.b"), `/${unit.repeat(2040 / unit.length)}`);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `${user} µs`);
});

test("where any request may be refused, nothing may pass unread", () => {
  assert.equal(mayRefuse(repos, "api.github.com"), true);
  assert.equal(mayRefuse([rule("deny", "", "*.b")], "a.c"), false);
  assert.equal(mayRefuse([rule("deny", "", "*.b")], null), true);
  assert.equal(mayRefuse([rule("allow", "", "*")], "a.b"), false);
});

const patterns: readonly (readonly [
  pattern: string,
  matching: readonly string[],
  others: readonly string[],
])[] = [
  ["/", ["/"], ["", "/a"]],
  ["/a", ["/a"], ["/a/", "/ab", "/"]],
  ["/*", ["/", "/a", "/a.b"], ["/a/", "/a/b"]],
  ["/a/*/c", ["/a/b/c", "/a//c"], ["/a/b/b/c", "/a/c"]],
  ["/a/**", ["/a/", "/a/b", "/a/b/c"], ["/a", "/b/a/"]],
  ["/**/c", ["//c", "/a/c", "/a/b/c"], ["/c", "/a/cc"]],
  ["/v*/x-*", ["/v1/x-", "/v/x-yz"], ["/v1/x", "/v1/y/x-a"]],
  ["**", ["", "/", "/a/b"], []],
  ["/a.b", ["/a.b"], ["/axb"]],
];

test("patterns of paths", () => {
  for (const [pattern, matching, others] of patterns) {
    for (const path of matching) assert.equal(matchesPath(pattern, path), true, `${pattern} ${path}`);
    for (const path of others) assert.equal(matchesPath(pattern, path), false, `${pattern} ${path}`);
  }
});

test("a pattern agrees with a regular expression, whatever it is compared with", () => {
  // Replayable: a generator of Park and Miller.
  let state = 4711;
  const random = (below: number): number => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
  const text = (letters: readonly string[], longest: number): string =>
    Array.from({ length: random(longest) }, () => letters[random(letters.length)] ?? "").join("");
  for (let round = 0; round < 20_000; round++) {
    const pattern = text(["a", "b", "/", "*", "**"], 8);
    const path = text(["a", "b", "/"], 10);
    const expression = pattern.replace(/\*\*/g, "\0").replace(/\*/g, "[^/]*").replaceAll("\0", "[^]*");
    assert.equal(
      matchesPath(pattern, path),
      new RegExp(`^(?:${expression})$`).test(path),
      `${pattern} ${path}`,
    );
  }
});

test("readings begin with a slash, and there are none of what nobody can be sure of", () => {
  for (const target of ["/", "https://a.b", "https://a.b?c", "*", "/a;b//c%2f%3b%3f", "//", "///a"]) {
    const readings = pathReadings(target);
    assert.ok(readings !== null && readings.size > 0, target);
    for (const reading of readings) assert.ok(reading.startsWith("/"), `${target}: ${reading}`);
  }
  for (const target of ["", "a", "/a/../..", "/a/.", "/%2e", "/a%zz%", "/\0", "/a\\b", "/a#b", "/%2525252e"])
    assert.equal(pathReadings(target), null, target);
  assert.deepEqual([...(pathReadings("/a/b.c/...") ?? [])], ["/a/b.c/..."]);
});

test("who is refused is told by what, as JSON or in the user's words", () => {
  const head = { method: "GET", target: "/a?token=x" };
  const plain = denialAnswer({ denyMessage: null }, head, "a.b", 3);
  assert.ok(plain.kind === "answer" && Buffer.isBuffer(plain.body));
  assert.equal(plain.head.status, 403);
  const fields = new Map(plain.head.fields);
  assert.equal(fields.get("content-length"), String(plain.body.length));
  assert.equal(fields.get("x-microsandbox-denied"), "rule 3");
  const told = JSON.parse(plain.body.toString()) as Record<string, unknown>;
  assert.deepEqual(
    {
      error: told["error"],
      host: told["host"],
      method: told["method"],
      path: told["path"],
      rule: told["rule"],
    },
    { error: "request_denied", host: "a.b", method: "GET", path: "/a", rule: 3 },
  );
  const own = denialAnswer({ denyMessage: "No {method} of {host}{path}, {other}. $&" }, head, "a.b", 0);
  assert.ok(own.kind === "answer" && Buffer.isBuffer(own.body));
  assert.equal(own.body.toString(), "No GET of a.b/a, {other}. $&\n");
});
