import { policyTokens } from "../../../config/network/policy/rule-text.ts";
import { policyToWire } from "../../../config/network/policy/wire-policy.ts";
import { defineCommand, value } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { oneLine } from "../../output/sanitize.ts";
import { err, out } from "../../output/streams.ts";
import { wholeNumber } from "../../values/simple.ts";
import { parseTime } from "../../values/time.ts";
import { formatOption } from "../sandbox/list.ts";

export const netSuggest = defineCommand({
  name: "suggest",
  parent: "net",
  summary: "Suggest the least policy that allows what a sandbox has used",
  details: `Prints the options of msb run and msb create that make it. It is made of what was let through, as network.log has it: let the sandbox run with --net-observe first, which allows everything. Look through it before you use it. Works whether the sandbox runs or not.`,
  examples: [
    "msb net suggest demo",
    "msb run $(msb net suggest demo) debian -- ./build.sh",
    "msb net suggest demo --format json",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    since: value({
      placeholder: "TIME",
      description: "Only what came to pass from then on: 2026-05-01T13:37:00Z, or an age: 5m",
      parse: (text) => parseTime(text),
    }),
    mergeNames: value({
      placeholder: "COUNT",
      description: "Allow all names below a parent of which so many were used for the same, 2 at least",
      parse: wholeNumber(2, 1000),
    }),
    format: formatOption,
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { Sandbox } = await import("../../../api/index.ts");
    const policy = await (
      await Sandbox.get(name)
    ).suggestPolicy({
      ...(options.since === undefined ? {} : { since: options.since }),
      ...(options.mergeNames === undefined ? {} : { mergeNamesFrom: options.mergeNames }),
    });
    if (!policy.rules.some(({ direction }) => direction !== "ingress"))
      err(
        "nothing was let through that goes out: this policy denies all of it. Let the sandbox run with --net-observe first.\n",
      );
    if (options.format === "json") {
      out(json(policyToWire(policy)));
      return 0;
    }
    const words = [
      ["--net-default-egress", policy.defaultEgress],
      ["--net-default-ingress", policy.defaultIngress],
      ...policyTokens(policy).map((token) => ["--net-rule", oneLine(token)]),
    ];
    out(words.map((pair) => `${pair.join(" ")}\n`).join(""));
    return 0;
  },
});
