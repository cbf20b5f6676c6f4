import { writeFile } from "node:fs/promises";
import { defineCommand } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";
import { ioError } from "../../../host/system-error.ts";

export const tlsExport = defineCommand({
  name: "export",
  parent: "tls",
  summary: "Write the authority's certificate, for whoever is to trust it too",
  details:
    "As PEM, to the standard output or to a file. Sandboxes have it without this; the key is not exported.",
  examples: ["msb tls export", "msb tls export ca.pem"],
  operands: [{ name: "FILE", required: false }],
  options: {},
  run: async ({ operands: [file = "-"] }) => {
    const { authority } = await import("../../../api/setup/msb-tls.ts");
    const { pem } = await authority();
    if (file === "-") {
      out(pem);
      return 0;
    }
    try {
      await writeFile(file, pem);
    } catch (error) {
      throw ioError(`write ${file}`, error);
    }
    return 0;
  },
});
