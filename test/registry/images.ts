import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arch } from "node:process";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { locateHome, prepareHome, type Home } from "../../src/store/home.ts";

const run = promisify(execFile);

/** A directory that is gone after the test. */
export async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "msb-images-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function newHome(directory: string): Promise<Home> {
  const home = locateHome({ MSB_HOME: join(directory, `home-${randomBytes(4).toString("hex")}`) });
  await prepareHome(home);
  return home;
}

export const hostArchitecture = arch === "x64" ? "amd64" : arch;

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly bytes: Buffer;
}

export function blob(mediaType: string, content: Buffer | object): Blob {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { mediaType, digest: sha256(bytes), size: bytes.length, bytes };
}

export function describe({ mediaType, digest, size }: Blob): {
  mediaType: string;
  digest: string;
  size: number;
} {
  return { mediaType, digest, size };
}

export interface Layer {
  readonly tar: Buffer;
  readonly blob: Blob;
  readonly diffId: string;
}

/** A layer with these files, made by tar(1). */
export async function layer(files: Readonly<Record<string, string | Buffer>>): Promise<Layer> {
  await using directory = await scratch();
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory.path, name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, content);
  }
  const { stdout } = await run(
    "tar",
    ["--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-C", directory.path, "-c", "."],
    {
      encoding: "buffer",
      maxBuffer: 1 << 30,
    },
  );
  const tar = stdout;
  return {
    tar,
    blob: blob("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })),
    diffId: sha256(tar),
  };
}

export interface BuiltImage {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Layer[];
}

export function image(
  layers: readonly Layer[],
  options: { readonly config?: object; readonly architecture?: string } = {},
): BuiltImage {
  const config = blob("application/vnd.oci.image.config.v1+json", {
    architecture: options.architecture ?? hostArchitecture,
    os: "linux",
    config: options.config ?? { Env: ["PATH=/bin"], Cmd: ["/bin/sh"] },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const manifest = blob("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: describe(config),
    layers: layers.map(({ blob: stored }) => describe(stored)),
  });
  return { manifest, config, layers };
}

/** Layer contents that gzip cannot shrink, so that sizes are what they say. */
export function noise(bytes: number): Buffer {
  return randomBytes(bytes);
}

/** Writes an OCI image layout with one image, named `tag`. */
export async function writeLayout(directory: string, built: BuiltImage, tag: string): Promise<void> {
  const blobs = join(directory, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  for (const { digest, bytes } of [built.manifest, built.config, ...built.layers.map((one) => one.blob)]) {
    await writeFile(join(blobs, digest.slice("sha256:".length)), bytes);
  }
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { "org.opencontainers.image.ref.name": tag };
  const index = { schemaVersion: 2, manifests: [{ ...describe(built.manifest), annotations }] };
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
}

/** Runs skopeo with the rule that every image is accepted, whatever this machine's policy file says. */
export async function skopeo(...args: readonly string[]): Promise<string> {
  const { stdout } = await run("skopeo", ["--insecure-policy", ...args], { maxBuffer: 1 << 26 });
  return stdout;
}

/** Pushes an image with skopeo to `docker://<host>/<name>`. */
export async function push(built: BuiltImage, target: string, ...args: readonly string[]): Promise<void> {
  await using directory = await scratch();
  await writeLayout(directory.path, built, "it");
  await skopeo(
    "copy",
    "--quiet",
    "--preserve-digests",
    "--dest-tls-verify=false",
    ...args,
    `oci:${directory.path}:it`,
    `docker://${target}`,
  );
}
