import { ruleTokens } from "../../../config/network/policy/rule-text.ts";
import type { PolicyAction } from "../../../config/network/policy-type.ts";
import { defineCommand, flag, type AnyCommand } from "../../grammar/command.ts";
import { completionLine } from "../../output/blocks.ts";
import { err } from "../../output/streams.ts";
import { ruleOfTarget } from "./rule-target.ts";
import { persistOption, quietOption } from "./net-options.ts";

function ruleCommand(action: PolicyAction, summary: string, details: string, examples: string[]): AnyCommand {
  return defineCommand({
    name: action,
    parent: "net",
    summary,
    details,
    examples,
    operands: [
      { name: "NAME", required: true, completes: "sandbox" },
      { name: "TARGET", required: true, repeated: true },
    ],
    options: {
      ingress: flag({ description: "About connections to the guest; TARGET is who makes them" }),
      persist: persistOption,
      quiet: quietOption,
    },
    run: async ({ options, operands: [name = "", ...targets] }) => {
      const direction = options.ingress === true ? "ingress" : "egress";
      const rules = targets.map((target) => ruleOfTarget(action, direction, target));
      const { Sandbox } = await import("../../../api/index.ts");
      const begun = performance.now();
      const handle = await Sandbox.get(name);
      await handle.updateNetwork({ addRules: rules }, { persist: options.persist ?? false });
      if (options.quiet === true) return 0;
      const target = `${name} ${rules.flatMap(ruleTokens).join(", ")}`;
      const verb = action === "allow" ? "Allowed" : "Denied";
      err(completionLine({ ok: true, verb, target, durationMs: performance.now() - begun }, process.stderr));
      return 0;
    },
  });
}

const grammar =
  "TARGET is any, a group (public, private, host…), an address, a range, a name or *.name, with :PORTS for TCP or :PROTOCOL[:PORTS] behind it, as in --net-rule.";

export const netAllow = ruleCommand(
  "allow",
  "Allow a running sandbox to reach more",
  `The rule is put before those that there are, at once. ${grammar}`,
  ["msb net allow demo example.com:443", "msb net allow demo 10.0.0.0/8:udp:53 --persist"],
);

export const netDeny = ruleCommand(
  "deny",
  "Keep a running sandbox from reaching something",
  `The rule is put before those that there are, and connections that are not allowed any more have ended when the command has. ${grammar}`,
  ["msb net deny demo example.com", "msb net deny demo --ingress any"],
);
