import type { ImageDetail } from "../../../api/index.ts";
import { defineCommand } from "../../grammar/command.ts";
import { bytes, fieldLines, json, tableTime } from "../../output/format.ts";
import { out } from "../../output/streams.ts";
import type { Styled } from "../../output/style.ts";
import { quoteWord } from "../../output/sandbox-text.ts";
import { imageJson } from "./image-list.ts";
import { formatOption } from "../sandbox/list.ts";

export const imageInspect = defineCommand({
  name: "inspect",
  parent: "image",
  summary: "Show everything known about an image",
  examples: ["msb image inspect alpine", "msb image inspect alpine --format json"],
  operands: [{ name: "REFERENCE", required: true, completes: "image" }],
  options: { format: formatOption },
  run: async ({ options, operands: [reference = ""] }) => {
    const { Image } = await import("../../../api/index.ts");
    const detail = await Image.inspect(reference);
    out(options.format === "json" ? json(toJson(detail)) : toText(detail));
    return 0;
  },
});

export function toJson({ handle, config, layers }: ImageDetail): object {
  return {
    ...imageJson(handle),
    config:
      config === null
        ? null
        : {
            digest: config.digest,
            env: config.env,
            cmd: config.cmd,
            entrypoint: config.entrypoint,
            working_dir: config.workingDir,
            user: config.user,
            labels: config.labels,
            stop_signal: config.stopSignal,
          },
    layers: layers.map((layer) => ({
      diff_id: layer.diffId,
      blob_digest: layer.blobDigest,
      media_type: layer.mediaType,
      compressed_size_bytes: layer.compressedSizeBytes,
      erofs_size_bytes: layer.erofsSizeBytes,
      position: layer.position,
    })),
  };
}

export function toText({ handle, config, layers }: ImageDetail): Styled {
  const size = (count: number | null): string => (count === null ? "-" : bytes(count));
  const words = (list: readonly string[] | null | undefined): string =>
    list === null || list === undefined || list.length === 0 ? "-" : list.map(quoteWord).join(" ");
  return fieldLines([
    ["Reference", handle.reference],
    ["Digest", handle.manifestDigest ?? "-"],
    ["Size", size(handle.sizeBytes)],
    ["Platform", `${handle.os ?? "-"}/${handle.architecture ?? "-"}`],
    ["Created", tableTime(handle.createdAt)],
    ["Last used", tableTime(handle.lastUsedAt)],
    ["Config", config?.digest ?? "-"],
    ["Entrypoint", words(config?.entrypoint)],
    ["Command", words(config?.cmd)],
    ["Workdir", config?.workingDir ?? "-"],
    ["User", config?.user ?? "-"],
    ["Stop signal", config?.stopSignal ?? "-"],
    ["Environment", config?.env ?? []],
    ["Labels", Object.entries(config?.labels ?? {}).map(([key, text]) => `${key}=${text}`)],
    ["Layers", layers.map((layer) => `${layer.blobDigest} ${size(layer.compressedSizeBytes)}`)],
  ]);
}
