import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { growth, mostGrowth } from "../../../test/support/growth.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { HttpField, RequestHead } from "../http/message.ts";
import { compileSecrets } from "./compiled-secrets.ts";
import { searchHead } from "./request/head-search.ts";

const secret: SecretConfig = {
  envVar: "KEY",
  placeholder: "$MSB_KEY",
  hosts: ["a.test"],
  source: { kind: "stored" },
  injection: { headers: true, basicAuth: true, queryParams: true, body: false },
  requireTlsIdentity: true,
  onViolation: null,
  scrubResponses: false,
};
const compiled = compileSecrets([secret]);
const credentials = Buffer.from("$MSB_KEY,").toString("base64");

/** A head of about that many bytes. */
const rows: readonly (readonly [what: string, fields: (size: number) => readonly HttpField[]])[] = [
  [
    "credentials that are nothing but placeholders",
    (size) => [["Authorization", `Basic ${credentials.repeat(size / credentials.length)}`]],
  ],
  [
    "thousands of credentials",
    (size) => Array.from({ length: size / 30 }, () => ["Authorization", `Basic ${credentials}`]),
  ],
  ["thousands of fields", (size) => Array.from({ length: size / 12 }, () => ["X", "$MSB_KEY"])],
  ["a field that is nothing but placeholders", (size) => [["X", "$MSB_KEY".repeat(size / 8)]]],
];

describe("the time that looking for placeholders takes grows as the head:", () => {
  for (const [what, fields] of rows)
    it(what, () => {
      const grown = growth(60_000, (size) => {
        const head: RequestHead = {
          version: "1.1",
          method: "GET",
          target: "/",
          authority: null,
          fields: fields(size),
        };
        return () => {
          const found = searchHead(head, compiled, [{ kind: "eligible", secrets: [secret] }]);
          assert.ok(found.edits.length > 0);
        };
      });
      assert.ok(grown < mostGrowth, `in one piece it took ${grown.toFixed(1)} times as long`);
    });
});
