import { listSandboxes } from "../../store/sandboxes.ts";
import type { Home } from "../../store/home.ts";
import { isEmbeddedImage } from "../embedded.ts";
import { parseReference } from "../reference.ts";
import type { ImageUse } from "./garbage.ts";

/** Which images the sandboxes that there are need. */
export async function findImageUses(home: Home): Promise<ImageUse[]> {
  return (await listSandboxes(home)).flatMap(({ record }): ImageUse[] => {
    const { image, imageDigest } = record.config;
    if (image.kind !== "oci" || isEmbeddedImage(image.reference)) return [];
    const { canonical } = parseReference(image.reference);
    return [{ sandbox: record.name, reference: canonical, manifestDigest: imageDigest }];
  });
}
