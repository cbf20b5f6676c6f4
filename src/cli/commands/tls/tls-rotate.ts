import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";
import { authorityJson, authorityText } from "./tls-ca.ts";

export const tlsRotate = defineCommand({
  name: "rotate",
  parent: "tls",
  summary: "Put a new authority in the place of the present one",
  details:
    "For when its key may have become known. It is also done by itself, 90 days before the present one ends. Sandboxes that run keep the one that they started with; they get the new one when they are started again.",
  examples: ["msb tls rotate"],
  options: { format: formatOption },
  run: async ({ options }) => {
    const { rotate } = await import("../../../api/setup/msb-tls.ts");
    const facts = await rotate();
    out(options.format === "json" ? json(authorityJson(facts)) : authorityText(facts));
    err("Sandboxes that run keep the former one until they are started again.\n");
    return 0;
  },
});
