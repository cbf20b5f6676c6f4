/**
 * One Debian for both sides: its clients run in the guests, from an image, and its servers on the host, below a root directory of
 * their own.
 */
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { createHash, randomBytes } from "node:crypto";
import { link, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { withLock } from "../../src/host/locks/lock.ts";
import { Image } from "../../src/index.ts";
import { debianTar, keptDirectory } from "../registry/debian.ts";
import { blob, describe, hostArchitecture } from "../registry/images.ts";

const run = promisify(execFile);

const packages = [
  ...["python3", "ca-certificates", "iproute2", "musl-dev"],
  ...["curl", "wget", "git", "python3-pip", "bind9-dnsutils", "netcat-openbsd", "iperf3"],
  ...["iputils-ping", "traceroute", "mtr-tiny"],
  ...["openssh-client", "openssh-server", "redis-tools", "redis-server"],
  ...["postgresql-client-15", "postgresql-15"],
  ...["nginx", "dante-server", "tinyproxy-bin", "python3-grpcio", "python3-websockets"],
];

/** What nothing here reads: half of it all. */
const left = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/locale/*",
  "/usr/share/i18n/*",
  "/usr/share/perl/*/unicore/*",
  // A compiler, which a package of others brings with it, and what PostgreSQL compiles queries with.
  "/usr/lib/gcc/*",
  "/usr/lib/*/lib*san.so*",
  "/usr/lib/*/libLLVM*",
  "/usr/lib/llvm*",
  "/usr/lib/*/libz3*",
];

const recipe = [
  "--variant=minbase",
  `--include=${packages.join(",")}`,
  ...left.map((path) => `--dpkgopt=path-exclude=${path}`),
  // A server is started by a test, not by its package.
  "--essential-hook=mkdir -p $1/etc/postgresql-common && echo create_main_cluster=false > $1/etc/postgresql-common/createcluster.conf",
  "bookworm",
];

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** Makes a directory aside, and renames it when it is complete. Files that run at once wait for each other. */
async function keep(path: string, make: (aside: string) => Promise<void>): Promise<string> {
  await withLock(`${path}.lock`, async () => {
    if (await exists(path)) return;
    const aside = `${path}.${randomBytes(4).toString("hex")}`;
    try {
      await mkdir(aside, { mode: 0o755 });
      await make(aside);
      await rename(aside, path);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  });
  return path;
}

async function tarOfTree(): Promise<string> {
  const directory = await keptDirectory();
  return await withLock(join(directory, "internet.lock"), () => debianTar(recipe));
}

/** The Debian as a directory, kept for later runs. It is not to be written to. */
export async function debianTree(): Promise<string> {
  return await treeOf(await tarOfTree());
}

/** The same of any tar file that is kept. */
export async function treeOf(tar: string): Promise<string> {
  return await keep(tar.replace(/\.tar$/, ""), async (aside) => {
    await run("tar", ["-C", aside, "--numeric-owner", "-xpf", tar, "--exclude=./dev/*"]);
  });
}

export const imageName = "localhost/internet";

/** An OCI layout whose one layer is the tar file as it is. */
async function writeLayout(directory: string, tar: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(tar, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const hex = hash.digest("hex");
  const layer = {
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: `sha256:${hex}`,
    size: (await stat(tar)).size,
  };
  const config = blob("application/vnd.oci.image.config.v1+json", {
    architecture: hostArchitecture,
    os: "linux",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = blob("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: describe(config),
    layers: [layer],
  });
  const blobs = join(directory, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  await link(tar, join(blobs, hex));
  for (const { digest, bytes } of [config, manifest])
    await writeFile(join(blobs, digest.slice("sha256:".length)), bytes);
  await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(directory, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [describe(manifest)] }),
  );
}

async function loadInto(home: string, tag: string, tar: string): Promise<void> {
  const layout = await mkdtemp(join(tmpdir(), "msb-internet-"));
  const before = process.env["MSB_HOME"];
  try {
    await writeLayout(layout, tar);
    process.env["MSB_HOME"] = home;
    await Image.load(layout, { tag });
  } finally {
    if (before === undefined) delete process.env["MSB_HOME"];
    else process.env["MSB_HOME"] = before;
    await rm(layout, { recursive: true });
  }
}

/**
 * Gives a home an image `localhost/NAME`, whose one layer is a tar file. The files of one run of all tests share what it is made of.
 */
export async function installTar(home: string, name: string, tarOf: () => Promise<string>): Promise<void> {
  const load = async (into: string): Promise<void> => loadInto(into, `localhost/${name}`, await tarOf());
  const shared = process.env["MSB_TEST_IMAGES"];
  if (shared === undefined) {
    await load(home);
    return;
  }
  const made = await keep(join(shared, name), load);
  await run("cp", ["-al", join(made, "images"), home]);
}

/** Gives a home the image `localhost/internet`. */
export async function installImage(home: string): Promise<void> {
  await installTar(home, "internet", tarOfTree);
}
