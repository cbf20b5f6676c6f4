import { everyRecord } from "../../store/every-record.ts";
import type { Home } from "../../store/home.ts";
import { isEmbeddedImage } from "../embedded.ts";
import { everyPool } from "../../store/pools/pools.ts";
import { everySnapshot } from "../../store/snapshots/every-snapshot.ts";
import { parseReference } from "../reference.ts";
import type { ImageUse } from "./garbage.ts";

/** Which images the sandboxes, the snapshots and the pools of a home need. @throws IoError when it cannot be told for one of them */
export async function findImageUses(home: Home): Promise<ImageUse[]> {
  const uses: ImageUse[] = [];
  for await (const { name, config } of everyRecord(home, "image")) {
    const { image, imageDigest } = config;
    if (image.kind !== "oci" || isEmbeddedImage(image.reference)) continue;
    const { canonical } = parseReference(image.reference);
    uses.push({ user: { kind: "sandbox", name }, reference: canonical, manifestDigest: imageDigest });
  }
  for await (const { name, image } of everySnapshot(home, "image")) {
    if (image.manifest_digest === null) continue;
    const { canonical } = parseReference(image.ref);
    uses.push({
      user: { kind: "snapshot", name },
      reference: canonical,
      manifestDigest: image.manifest_digest,
    });
  }
  for (const { name, config } of await everyPool(home)) {
    const { image, imageDigest } = config;
    if (image.kind !== "oci" || isEmbeddedImage(image.reference)) continue;
    const { canonical } = parseReference(image.reference);
    uses.push({ user: { kind: "pool", name }, reference: canonical, manifestDigest: imageDigest });
  }
  return uses;
}
