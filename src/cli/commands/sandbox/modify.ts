import type { ModifyOptions, SandboxModificationPlan, SecretModifySpec } from "../../../api/index.ts";
import { defineCommand, flag, repeated } from "../../grammar/command.ts";
import { parseSecret, type SecretChoice, untold } from "../../network/secret-flag.ts";
import { warningLine } from "../../output/blocks.ts";
import { json } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import type { Styled } from "../../output/style.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "./list.ts";

/** A secret whose value is in a variable of this program's environment, with new hosts or those that it has. */
type ChangedSecret = Pick<SecretChoice, "variable"> & Partial<Pick<SecretChoice, "hosts">>;

export const modify = defineCommand({
  name: "modify",
  summary: "Change the secrets of a sandbox",
  details:
    "A running sandbox sends the new values to hosts from its next connections on. A new secret is seen by the guest when the sandbox is started again: --next-start leaves that to you, --restart does it. The guest of a suspended one sees it after a start without its memory (msb start --fresh), which --restart makes at once. Either all is changed or nothing.",
  examples: [
    "msb modify demo --secret API_KEY",
    "msb modify demo --secret TOKEN@api.example.com --restart",
    "msb modify demo --secret-rm API_KEY --dry-run",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    secret: repeated({
      placeholder: "ENV[@HOST,…]",
      description: "The value of ENV in your environment, for the hosts that have it or for these",
      parse: untold(parseChangedSecret),
    }),
    secretRm: repeated({
      placeholder: "ENV",
      description: "Remove this secret",
      parse: (text: string) => text,
    }),
    dryRun: flag({ description: "Only show what would be changed" }),
    nextStart: flag({ description: "Change it for the next start", conflicts: ["restart"] }),
    restart: flag({ description: "Restart the sandbox where that is needed" }),
    format: formatOption,
  },
  run: async ({ options, operands: [name = ""] }) => {
    const { secret, secretRm, dryRun = false, nextStart, restart } = options;
    const changed = secret.map((parsed) => parsed());
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    const specs = changed.map(({ variable, hosts }): [string, SecretModifySpec] => [
      variable,
      { env: variable, ...(hosts === undefined ? {} : { allowedHosts: hosts }) },
    ]);
    const policy: ModifyOptions["policy"] =
      restart === true ? "restart" : nextStart === true ? "next_start" : "no_restart";
    const plan = await handle.modify({
      secrets: Object.fromEntries(specs),
      secretsRemove: secretRm,
      policy,
      dryRun,
    });
    out(options.format === "json" ? json(plan) : planText(plan));
    for (const { message } of plan.warnings) err(warningLine(message, process.stderr));
    if (!plan.applied && options.format !== "json") err("Nothing was changed.\n");
    return plan.conflicts.length > 0 || isBlocked(plan) ? 1 : 0;
  },
});

/** @throws UsageError */
function parseChangedSecret(text: string): ChangedSecret {
  return /^\w+$/.test(text) ? { variable: text } : parseSecret(text);
}

/** What was only planned could not be done under this policy. */
function isBlocked({ changes, policy }: SandboxModificationPlan): boolean {
  return changes.some(
    ({ disposition }) =>
      disposition === "unsupported" || (disposition === "requires restart" && policy === "no_restart"),
  );
}

function planText({ changes, conflicts }: SandboxModificationPlan): Styled {
  const rows = changes.map(({ field, name, change, beforeRef, afterRef, disposition, allowHosts }) => [
    `${field} ${name}`,
    change,
    beforeRef ?? "-",
    afterRef ?? "-",
    disposition,
    allowHosts.join(", "),
  ]);
  const said = conflicts.map(({ field, message }) => [field, "conflict", "-", "-", "nothing", message]);
  return table(["FIELD", "CHANGE", "BEFORE", "AFTER", "EFFECT", "HOSTS"], [...rows, ...said]);
}
