import { defineCommand, flag } from "../../grammar/command.ts";
import { warningLine } from "../../output/blocks.ts";
import { bytes, json, jsonTime, tableTime } from "../../output/format.ts";
import { err, out } from "../../output/streams.ts";
import { table } from "../../output/table.ts";
import { formatOption } from "../sandbox/list.ts";

export const imageList = defineCommand({
  name: "list",
  parent: "image",
  aliases: ["ls"],
  summary: "List the images that are stored here, newest first",
  examples: ["msb image ls", "msb image ls -q", "msb image ls --format json"],
  options: {
    format: formatOption,
    quiet: flag({ short: "q", description: "Print only references, one a line", conflicts: ["format"] }),
  },
  run: async ({ options }) => {
    const { Image } = await import("../../../api/index.ts");
    const images = await Image.list();
    if (options.format === "json") {
      out(json(images.map(imageJson)));
    } else if (images.length === 0) {
      err("No images found.\n");
    } else if (options.quiet === true) {
      out(images.map(({ reference }) => `${reference}\n`).join(""));
    } else {
      const rows = images.map((image) => [
        image.reference,
        shortDigest(image.manifestDigest),
        image.damage !== null ? "damaged" : image.sizeBytes === null ? "-" : bytes(image.sizeBytes),
        tableTime(image.createdAt),
      ]);
      out(table(["REFERENCE", "DIGEST", "SIZE", "CREATED"], rows));
      for (const { reference, damage } of images) {
        if (damage !== null) err(warningLine(`the image ${reference} is damaged: ${damage}`, process.stderr));
      }
    }
    return 0;
  },
});

interface ListedImage {
  readonly reference: string;
  readonly manifestDigest: string | null;
  readonly sizeBytes: number | null;
  readonly architecture: string | null;
  readonly os: string | null;
  readonly layerCount: number;
  readonly createdAt: Date | null;
  readonly damage: string | null;
}

/** An image as JSON output has it. */
export function imageJson(image: ListedImage): Record<string, unknown> {
  return {
    reference: image.reference,
    digest: image.manifestDigest,
    size_bytes: image.sizeBytes,
    architecture: image.architecture,
    os: image.os,
    layer_count: image.layerCount,
    created_at: jsonTime(image.createdAt),
    ...(image.damage === null ? {} : { damage: image.damage }),
  };
}

/** `sha256:` and 12 digits: enough to tell the images of one computer apart. */
function shortDigest(digest: string | null): string {
  if (digest === null) return "-";
  const [algorithm = "", hex = ""] = digest.split(":");
  return `${algorithm}:${hex.slice(0, 12)}`;
}
