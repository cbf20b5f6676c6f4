import { everyRecord } from "../../store/every-record.ts";
import type { Home } from "../../store/home.ts";
import { isEmbeddedImage } from "../embedded.ts";
import { parseReference } from "../reference.ts";
import type { ImageUse } from "./garbage.ts";

/** Which images the sandboxes that there are need. @throws IoError when it cannot be told for one of them */
export async function findImageUses(home: Home): Promise<ImageUse[]> {
  const uses: ImageUse[] = [];
  for await (const { name, config } of everyRecord(home, "image")) {
    const { image, imageDigest } = config;
    if (image.kind !== "oci" || isEmbeddedImage(image.reference)) continue;
    const { canonical } = parseReference(image.reference);
    uses.push({ sandbox: name, reference: canonical, manifestDigest: imageDigest });
  }
  return uses;
}
