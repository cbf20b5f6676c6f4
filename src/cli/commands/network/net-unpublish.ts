import type { PublishedPortName } from "../../../api/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { completionLine } from "../../output/blocks.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { persistOption, quietOption } from "./net-options.ts";

export const netUnpublish = defineCommand({
  name: "unpublish",
  parent: "net",
  summary: "Offer ports of a running sandbox no more",
  details:
    "PORT is [BIND:]HOST[/tcp|/udp]: the port of this computer, as msb port shows it. Its connections end.",
  examples: ["msb net unpublish demo 8080", "msb net unpublish demo 0.0.0.0:5353/udp"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "PORT", required: true, repeated: true },
  ],
  options: { persist: persistOption, quiet: quietOption },
  run: async ({ options, operands: [name = "", ...texts] }) => {
    const unpublish = texts.map(parseHostPort);
    const { Sandbox } = await import("../../../api/index.ts");
    const begun = performance.now();
    const handle = await Sandbox.get(name);
    await handle.updateNetwork({ unpublish }, { persist: options.persist ?? false });
    if (options.quiet === true) return 0;
    const target = `${name} ${texts.join(", ")}`;
    const done = { ok: true, verb: "Unpublished", target, durationMs: performance.now() - begun };
    err(completionLine(done, process.stderr));
    return 0;
  },
});

/** @throws UsageError */
function parseHostPort(text: string): PublishedPortName {
  const [all, ipv6, bind, port, protocol = "tcp"] =
    /^(?:(?:\[([^[\]]*)\]|([^:[\]]*)):)?(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const hostPort = Number(port);
  if (all === undefined || hostPort < 1 || hostPort > 65_535) {
    throw new UsageError(
      `"${text}" is not a published port.`,
      "Ports are written [BIND:]HOST[/udp]: 8080, 0.0.0.0:53/udp",
    );
  }
  const hostBind = ipv6 ?? bind;
  return { hostPort, protocol: protocol as "tcp" | "udp", ...(hostBind === undefined ? {} : { hostBind }) };
}
