import type { AuthorityFacts } from "../../../api/setup/msb-tls.ts";
import { defineCommand } from "../../grammar/command.ts";
import { fieldLines, json, jsonTime, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import type { Styled } from "../../output/style.ts";
import { formatOption } from "../sandbox/list.ts";

export const tlsCa = defineCommand({
  name: "ca",
  parent: "tls",
  summary: "Show the authority that sandboxes trust when their TLS is intercepted",
  details:
    "There is one in each home directory, made when it is first needed. Its key never leaves this host: guests get the certificate only.",
  examples: ["msb tls ca", "msb tls ca --format json"],
  options: { format: formatOption },
  run: async ({ options }) => {
    const { authority } = await import("../../../api/setup/msb-tls.ts");
    const facts = await authority();
    out(options.format === "json" ? json(authorityJson(facts)) : authorityText(facts));
    return 0;
  },
});

export function authorityText({ subject, fingerprint, notBefore, notAfter, path }: AuthorityFacts): Styled {
  return fieldLines([
    ["Subject", subject],
    ["SHA-256", fingerprint],
    ["Valid from", tableTime(notBefore)],
    ["Valid until", tableTime(notAfter)],
    ["Certificate", path],
  ]);
}

export function authorityJson(facts: AuthorityFacts): Record<string, unknown> {
  return {
    subject: facts.subject,
    fingerprint_sha256: facts.fingerprint,
    not_before: jsonTime(facts.notBefore),
    not_after: jsonTime(facts.notAfter),
    path: facts.path,
  };
}
