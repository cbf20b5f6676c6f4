import { RuntimeError } from "../../../errors/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { hostText, portJson } from "./network-text.ts";
import { isTerminal } from "../../../config/enums.ts";
import { oneLine } from "../../output/sanitize.ts";
import { err, out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { formatOption } from "../sandbox/list.ts";

export const port = defineCommand({
  name: "port",
  summary: "Show where the ports of a running sandbox are on this computer",
  details:
    "With PORT, a port of the guest, only the addresses of that one; it is an error if it is not published.",
  examples: ["msb port demo", "msb port demo 80", "msb port demo 53/udp"],
  operands: [
    { name: "NAME", required: true, completes: "sandbox" },
    { name: "PORT", required: false },
  ],
  options: { format: formatOption },
  run: async ({ options, operands: [name = "", wanted] }) => {
    const asked = wanted === undefined ? null : parseGuestPort(wanted);
    const { Sandbox } = await import("../../../api/index.ts");
    const handle = await Sandbox.get(name);
    const all = await handle.ports();
    const ports = all.filter(
      ({ guestPort, protocol }) =>
        asked === null || (guestPort === asked.guestPort && protocol === asked.protocol),
    );
    if (asked !== null && ports.length === 0) {
      const text = `${String(asked.guestPort)}/${asked.protocol}`;
      throw new RuntimeError(`port ${text} of sandbox ${name} is not published`, {
        hint: `Publish it: msb net publish ${name} ${text.replace(/\/tcp$/, "").replace(/^(\d+)/, "$1:$1")}`,
      });
    }
    if (options.format === "json") out(json(ports.map(portJson)));
    else if (asked !== null) out(ports.map((one) => `${hostText(one)}\n`).join(""));
    else {
      if (ports.length === 0) {
        const why = isTerminal(handle.status) ? "does not run" : "publishes no ports";
        err(`${oneLine(`sandbox ${name} ${why}`)}\n`);
      }
      out(ports.map((one) => `${String(one.guestPort)}/${one.protocol} -> ${hostText(one)}\n`).join(""));
    }
    return 0;
  },
});

/** @throws UsageError */
function parseGuestPort(text: string): { readonly guestPort: number; readonly protocol: string } {
  const [all, number, protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (all === undefined || Number(number) > 65_535)
    throw new UsageError(`"${text}" is not a port of the guest.`, "Ports are written 80 or 53/udp");
  return { guestPort: Number(number), protocol };
}
