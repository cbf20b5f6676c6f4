import { open, readFile } from "node:fs/promises";
import * as v from "valibot";
import { ImageError } from "../../errors/index.ts";
import { digestOf, verifyBytes } from "../digest.ts";
import { check, parseJson } from "../json.ts";
import {
  isKeptElsewhere,
  maximumConfigBytes,
  maximumLayers,
  maximumManifestBytes,
  mediaTypes,
  parseManifest,
  type Descriptor,
  type ImageManifest,
  type Platform,
} from "../manifest.ts";
import { resolveImage, type FoundManifest, type ManifestSource, type ResolvedImage } from "../resolve.ts";
import type { SpooledArchive, SpooledFile } from "./spool.ts";

/** An image in an archive, under the names that the archive gives it; they are not checked yet. */
export interface ArchivedImage {
  readonly names: readonly string[];
  /** Of the index that leads to the image, or of its manifest: computed, not claimed. */
  readonly rootDigest: string;
  readonly image: ResolvedImage;
  /** Where a blob lies in the archive. */
  blob(descriptor: Descriptor): SpooledFile;
}

/** @throws ImageError when the archive is neither an OCI image layout nor what `docker save` writes, or is damaged */
export async function readContents(archive: SpooledArchive, platform: Platform): Promise<ArchivedImage[]> {
  const index = archive.find("index.json");
  const docker = archive.find("manifest.json");
  // Docker 25 and later write both; the OCI layout keeps the digests.
  if (index !== undefined && archive.find("oci-layout") !== undefined) {
    return new OciContents(archive, platform).read(index, docker);
  }
  if (docker !== undefined) return readDocker(archive, docker);
  throw new ImageError("the archive holds no image", {
    hint: "It must be made by docker save, podman save, skopeo or msb save.",
  });
}

const dockerManifest = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    Layers: v.nullish(v.array(v.string())),
  }),
);
type DockerManifest = v.InferOutput<typeof dockerManifest>;

async function readDockerManifest(file: SpooledFile): Promise<DockerManifest> {
  const bytes = await readSmall(file, maximumManifestBytes, "manifest.json");
  return check(dockerManifest, parseJson(bytes, "manifest.json"), "manifest.json");
}

/** The images of a layout: every named entry of `index.json`, or all of it as one when none has a name. */
class OciContents implements ManifestSource {
  readonly #archive: SpooledArchive;
  readonly #platform: Platform;

  constructor(archive: SpooledArchive, platform: Platform) {
    this.#archive = archive;
    this.#platform = platform;
  }

  async read(indexFile: SpooledFile, dockerFile: SpooledFile | undefined): Promise<ArchivedImage[]> {
    const bytes = await readSmall(indexFile, maximumManifestBytes, "index.json");
    const parsed = parseManifest(bytes, mediaTypes.ociIndex, "index.json");
    if (parsed.kind !== "index") throw new ImageError("index.json is no index");
    const docker = dockerFile === undefined ? [] : await readDockerManifest(dockerFile);
    const named = parsed.index.manifests
      .map((entry) => ({ entry, name: nameOf(entry) }))
      .filter(({ name }) => name !== null);
    if (named.length === 0) {
      refuseTags(parsed.index.manifests);
      const root = { digest: digestOf(bytes), mediaType: mediaTypes.ociIndex, bytes };
      return [await this.#resolve(root, [], docker)];
    }
    const byDigest = new Map<string, { entry: Descriptor; names: string[] }>();
    for (const { entry, name } of named) {
      const known = byDigest.get(entry.digest) ?? { entry, names: [] };
      if (name !== null) known.names.push(name);
      byDigest.set(entry.digest, known);
    }
    const images: ArchivedImage[] = [];
    for (const { entry, names } of byDigest.values()) {
      const { digest, mediaType } = entry;
      const root = { digest, mediaType, bytes: await this.fetchManifest(entry) };
      images.push(await this.#resolve(root, names, docker));
    }
    return images;
  }

  async #resolve(
    root: FoundManifest,
    names: readonly string[],
    docker: DockerManifest,
  ): Promise<ArchivedImage> {
    const image = await resolveImage(
      root,
      this,
      this.#platform,
      `the archive's image ${names[0] ?? ""}`.trim(),
    );
    const config = image.manifest.config.digest.replace(":", "/");
    const tags = docker.find(({ Config }) => Config === `blobs/${config}`)?.RepoTags ?? [];
    return {
      names: names.length === 0 ? tags : names,
      rootDigest: root.digest,
      image,
      blob: (descriptor) => this.#blob(descriptor),
    };
  }

  async fetchManifest(descriptor: Descriptor): Promise<Uint8Array> {
    const bytes = await readSmall(this.#blob(descriptor), maximumManifestBytes, descriptor.digest);
    verifyBytes(bytes, descriptor.digest, "a manifest of the archive");
    return bytes;
  }

  #blob(descriptor: Descriptor): SpooledFile {
    const name = `blobs/${descriptor.digest.replace(":", "/")}`;
    const file = this.#archive.find(name);
    const unusable = this.#archive.unusable.get(name);
    if (unusable !== undefined) throw new ImageError(`${name} of the layout ${unusable}`);
    if (file === undefined && isKeptElsewhere(descriptor)) {
      throw new ImageError(`the archive lacks ${descriptor.digest}, a layer that is kept elsewhere`, {
        hint: "Such layers are those of Windows images, which cannot run here.",
      });
    }
    if (file === undefined) {
      throw new ImageError(`the archive lacks ${descriptor.digest}`, {
        hint: "It may be cut off, or have been saved for another platform.",
      });
    }
    if (file.size !== descriptor.size) {
      throw new ImageError(
        `${descriptor.digest} of the archive is ${file.size} bytes long, not ${descriptor.size}`,
      );
    }
    return file;
  }
}

/** Tags tell the images of a layout apart, and are no names: which one is meant cannot be said. */
function refuseTags(entries: readonly Descriptor[]): void {
  const tagged = entries.filter((entry) => "org.opencontainers.image.ref.name" in (entry.annotations ?? {}));
  if (new Set(tagged.map(({ digest }) => digest)).size < 2) return;
  const tags = tagged.map((entry) => entry.annotations?.["org.opencontainers.image.ref.name"] ?? "");
  throw new ImageError(`the images of the layout have no full names, only tags: ${tags.join(", ")}`, {
    hint: `Copy the one you want under its full name: skopeo copy oci:DIR:${tags[0] ?? ""} oci:DIR:example.com/name:tag`,
  });
}

/** containerd's full name, or else a reference name that is more than a tag. */
function nameOf(entry: Descriptor): string | null {
  const full = entry.annotations?.["io.containerd.image.name"];
  if (full !== undefined) return full;
  const name = entry.annotations?.["org.opencontainers.image.ref.name"];
  return name !== undefined && /[/:]/.test(name) ? name : null;
}

/** `docker save` before 25: one JSON document, configurations and layers as they lie in docker. */
async function readDocker(archive: SpooledArchive, file: SpooledFile): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  for (const { Config, RepoTags, Layers } of await readDockerManifest(file)) {
    const paths = Layers ?? [];
    if (paths.length > maximumLayers)
      throw new ImageError(`an image of the archive has ${paths.length} layers`);
    const byDigest = new Map<string, SpooledFile>();
    const describe = (name: string, found: SpooledFile | undefined, mediaType: string): Descriptor => {
      const digest = found?.digest ?? null;
      if (found === undefined || digest === null) {
        throw new ImageError(`the archive lacks ${JSON.stringify(name)}`);
      }
      byDigest.set(digest, found);
      return { mediaType, digest, size: found.size };
    };
    const config = describe(Config, archive.find(Config), mediaTypes.ociConfig);
    if (config.size > maximumConfigBytes)
      throw new ImageError("an image's config in the archive is too long");
    const layers: Descriptor[] = [];
    for (const path of paths) {
      const found = archive.find(path);
      layers.push(describe(path, found, found === undefined ? "" : await layerType(found)));
    }
    const manifest: ImageManifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
    const bytes = Buffer.from(JSON.stringify(manifest));
    const digest = digestOf(bytes);
    images.push({
      names: RepoTags ?? [],
      rootDigest: digest,
      image: { digest, mediaType: mediaTypes.ociManifest, bytes, manifest },
      blob: ({ digest }) => {
        const found = byDigest.get(digest);
        if (found === undefined) throw new ImageError(`the archive lacks ${digest}`);
        return found;
      },
    });
  }
  return images;
}

/** Other tools than docker put compressed layers into such an archive. */
async function layerType({ path }: SpooledFile): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const start = buffer.subarray(0, bytesRead).toString("hex");
    if (start.startsWith("1f8b")) return `${mediaTypes.ociLayer}+gzip`;
    return start === "28b52ffd" ? `${mediaTypes.ociLayer}+zstd` : mediaTypes.ociLayer;
  } finally {
    await file.close();
  }
}

async function readSmall(file: SpooledFile, limit: number, what: string): Promise<Buffer> {
  if (file.size > limit) throw new ImageError(`${what} of the archive is longer than ${limit} bytes`);
  return readFile(file.path);
}
