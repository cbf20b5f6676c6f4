import { isEmbeddedImage } from "../../image/embedded.ts";
import { parseReference } from "../../image/reference.ts";
import type { ImageUse } from "../../image/store/garbage.ts";
import { listSandboxes } from "../../store/sandboxes.ts";
import type { Home } from "../../store/home.ts";

/** Which images the sandboxes that there are need. */
export async function findImageUses(home: Home): Promise<ImageUse[]> {
  return (await listSandboxes(home)).flatMap(({ record }): ImageUse[] => {
    const { image, imageDigest } = record.config;
    if (image.kind !== "oci" || isEmbeddedImage(image.reference)) return [];
    const { canonical } = parseReference(image.reference);
    return [{ sandbox: record.name, reference: canonical, manifestDigest: imageDigest }];
  });
}
