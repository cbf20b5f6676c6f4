import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { JsonError } from "../../errors/index.ts";
import { errorCode, ioError } from "../../host/system-error.ts";
import { writeFileAtomically } from "../../host/files/atomic-file.ts";
import { userKeys } from "../../config/user-keys.ts";
import { parseDigest } from "../digest.ts";
import { parseReference } from "../reference.ts";
import type { ImageStore } from "./layout.ts";
import { withStoreLock } from "./locking.ts";

/** Keys of annotations in `index.json`. */
export const annotationKeys = {
  /** image-spec, annotations.md; what `skopeo inspect oci:<directory>:<name>` looks for. */
  refName: "org.opencontainers.image.ref.name",
  /** containerd's full name; what `docker load` and `ctr image import` look for. */
  containerdName: "io.containerd.image.name",
  /** What the reference meant in the registry: an index's digest, or the manifest's own. */
  sourceDigest: "io.microsandbox.image.source-digest",
  /** When the image came under this reference, RFC 3339. */
  addedAt: "io.microsandbox.image.added-at",
} as const;

// Loose: what other tools wrote is kept as it is.
const entrySchema = v.looseObject({
  mediaType: v.string(),
  digest: v.pipe(
    v.string(),
    v.check((text) => parseDigest(text) !== null, "is no digest"),
  ),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  annotations: v.optional(userKeys(v.string())),
});
const indexSchema = v.looseObject({ schemaVersion: v.literal(2), manifests: v.array(entrySchema) });

export type IndexEntry = v.InferOutput<typeof entrySchema>;

/**
 * The image's name in full. An entry without one is another tool's, also when it has a short name such as `latest`: no
 * reference leads to it, so that it is neither shown nor removed here.
 */
export function entryName(entry: IndexEntry): string | undefined {
  const name = entry.annotations?.[annotationKeys.refName];
  if (name === undefined) return undefined;
  try {
    return parseReference(name).canonical === name ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The images there are; none when there is no store yet. @throws JsonError, IoError */
export async function readEntries(store: ImageStore): Promise<IndexEntry[]> {
  return (await readIndexFile(store)).manifests;
}

async function readIndexFile(store: ImageStore): Promise<v.InferOutput<typeof indexSchema>> {
  let text: string;
  try {
    text = await readFile(store.indexFile, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR")
      return { schemaVersion: 2, manifests: [] };
    throw ioError(`read ${store.indexFile}`, error);
  }
  try {
    return v.parse(indexSchema, JSON.parse(text));
  } catch (error) {
    throw new JsonError(`${store.indexFile} is damaged`, {
      cause: error,
      hint: "Remove the file; images are pulled again when they are needed, and what is stored is not fetched twice.",
    });
  }
}

export interface IndexChange<T> {
  /** The same list when nothing changes. */
  readonly entries: IndexEntry[];
  /** What is to be done when the file has been written, still under the lock. */
  readonly afterWrite: () => Promise<T>;
}

/** Changes `index.json`, one process at a time. */
export async function updateEntries<T>(
  store: ImageStore,
  signal: AbortSignal | undefined,
  change: (entries: IndexEntry[]) => Promise<IndexChange<T>>,
): Promise<T> {
  return withStoreLock(store.indexLock, signal, async () => {
    const index = await readIndexFile(store);
    const { entries, afterWrite } = await change(index.manifests);
    if (entries !== index.manifests) {
      const content = { ...index, manifests: entries };
      await writeFileAtomically(store.indexFile, JSON.stringify(content, null, 2) + "\n");
    }
    return afterWrite();
  });
}

/**
 * Puts an image under a name; what had the name before loses it.
 *
 * @returns the manifest's digest of the other image that had the name
 */
export async function nameImage(
  store: ImageStore,
  name: string,
  image: {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly sourceDigest: string;
  },
  signal?: AbortSignal,
): Promise<string | null> {
  return updateEntries(store, signal, async (entries) => {
    const earlier = entries.find((entry) => entryName(entry) === name);
    const other = earlier === undefined || earlier.digest === image.digest ? null : earlier.digest;
    const afterWrite = (): Promise<string | null> => Promise.resolve(other);
    const same =
      earlier?.digest === image.digest &&
      earlier.annotations?.[annotationKeys.sourceDigest] === image.sourceDigest;
    if (same) return { entries, afterWrite };
    const entry: IndexEntry = {
      mediaType: image.mediaType,
      digest: image.digest,
      size: image.size,
      annotations: {
        [annotationKeys.refName]: name,
        [annotationKeys.containerdName]: name,
        [annotationKeys.sourceDigest]: image.sourceDigest,
        [annotationKeys.addedAt]: new Date().toISOString(),
      },
    };
    return { entries: [...entries.filter((other) => other !== earlier), entry], afterWrite };
  });
}
