import { defineCommand } from "../../grammar/command.ts";
import { publishedText } from "./network-text.ts";
import { out } from "../../output/streams.ts";
import { parsePort } from "../../network/port.ts";
import { persistOption, quietOption } from "./net-options.ts";

export const netPublish = defineCommand({
  name: "publish",
  parent: "net",
  summary: "Offer ports of a running sandbox on this computer",
  details:
    "PORT is [BIND:]HOST:GUEST[/tcp|/udp] as in --port. With 0 for HOST one that is free is taken, and printed.",
  examples: ["msb net publish demo 8080:80", "msb net publish demo 0:80 0.0.0.0:5353:53/udp"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "PORT", required: true, repeated: true },
  ],
  options: { persist: persistOption, quiet: quietOption },
  run: async ({ options, operands: [name = "", ...texts] }) => {
    const publish = texts.map(parsePort);
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    const before = new Set((await handle.ports()).map(publishedText));
    const { ports } = await handle.updateNetwork({ publish }, { persist: options.persist ?? false });
    if (options.quiet === true) return 0;
    const added = ports.map(publishedText).filter((text) => !before.has(text));
    out(added.map((text) => `${text}\n`).join(""));
    return 0;
  },
});
