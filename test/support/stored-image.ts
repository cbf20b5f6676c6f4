import { utimes, writeFile } from "node:fs/promises";
import { digestOf } from "../../src/image/digest.ts";
import { blobsOf } from "../../src/image/store/images.ts";
import {
  annotationKeys,
  entryName,
  nameImage,
  updateEntries,
  type IndexEntry,
} from "../../src/image/store/index-file.ts";
import { blobPath, writeBlob, type ImageStore } from "../../src/image/store/layout.ts";
import { rootFileSystemKey, rootFileSystemPath } from "../../src/image/store/rootfs-path.ts";

/** Two days ago. */
export const long = new Date(Date.now() - 2 * 86_400_000);

export interface StoredTestImage {
  readonly manifestDigest: string;
  readonly blobs: readonly string[];
  readonly rootfs: string;
}

/** An image of one layer; its files are two days old. @param addedAt when it came into the store */
export async function storeImage(
  store: ImageStore,
  name: string,
  addedAt = new Date(),
): Promise<StoredTestImage> {
  const content = Buffer.from(`the layer of ${name}`);
  const diffId = digestOf(content);
  const config = Buffer.from(
    JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [diffId] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: digestOf(config),
        size: config.length,
      },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: diffId, size: content.length }],
    }),
  );
  for (const bytes of [content, config, manifest]) await writeBlob(store, bytes);
  const manifestDigest = digestOf(manifest);
  const blobs = blobsOf({
    manifestDigest,
    configDigest: digestOf(config),
    layers: [{ mediaType: "", digest: diffId, size: content.length }],
  });
  const path = rootFileSystemPath(store, [diffId]);
  await writeFile(path, "");
  for (const each of [...blobs.map((digest) => blobPath(store, digest)), path])
    await utimes(each, long, long);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  await nameImage(store, name, {
    mediaType,
    digest: manifestDigest,
    size: manifest.length,
    sourceDigest: manifestDigest,
  });
  await updateEntries(store, undefined, (entries) =>
    Promise.resolve({
      entries: entries.map((entry) => (entryName(entry) === name ? withTime(entry, addedAt) : entry)),
      afterWrite: () => Promise.resolve(),
    }),
  );
  return { manifestDigest, blobs, rootfs: `${rootFileSystemKey([diffId])}.erofs` };
}

function withTime(entry: IndexEntry, time: Date): IndexEntry {
  return { ...entry, annotations: { ...entry.annotations, [annotationKeys.addedAt]: time.toISOString() } };
}
