import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownSecrets, redacted } from "./redact.ts";

test("values are taken out by what they are called, wherever they are", () => {
  const hidden = "[redacted]";
  assert.deepEqual(
    redacted({
      password: "p",
      nested: [{ apiKey: "k", api_key: "k", "API-KEY": "k", name: "n" }],
      env: [
        ["GITHUB_TOKEN", "t"],
        ["PATH", "/bin"],
      ],
      list: ["AWS_SECRET_ACCESS_KEY=abc", "HOME=/root", "token"],
      authorization: "Bearer x",
      secrets: [{ envVar: "KEY", allowedHosts: ["a.example"], value: { clientSecret: "v" } }],
      tokens: 7,
      passphrase: "",
    }),
    {
      password: hidden,
      nested: [{ apiKey: hidden, api_key: hidden, "API-KEY": hidden, name: "n" }],
      env: [
        ["GITHUB_TOKEN", hidden],
        ["PATH", "/bin"],
      ],
      list: [`AWS_SECRET_ACCESS_KEY=${hidden}`, "HOME=/root", "token"],
      authorization: hidden,
      secrets: [{ envVar: "KEY", allowedHosts: ["a.example"], value: { clientSecret: hidden } }],
      tokens: 7,
      passphrase: "",
    },
  );
});

test("dates and what is no object stay", () => {
  const now = new Date(0);
  assert.deepEqual(redacted({ now, none: null, n: 1n }), { now, none: null, n: 1n });
});

test("values that came through the server are taken out of texts, also as JSON has them", () => {
  const secrets = new KnownSecrets();
  secrets.add('sk-"quoted"\n1');
  secrets.add("short");
  secrets.add("plain-value");
  const text = JSON.stringify({ a: 'x sk-"quoted"\n1 y', b: "plain-value", c: "short" });
  assert.deepEqual(JSON.parse(secrets.scrub(text)), { a: "x [redacted] y", b: "[redacted]", c: "short" });
});
