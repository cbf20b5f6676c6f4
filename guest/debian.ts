/** Debian packages as inputs: which version is current, and the .deb of exactly that version. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { findTool, run, sha256File, sha256Strings } from "./tools.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Of the .deb, from the package lists, whose signature apt checks. */
  readonly sha256: string;
}

const LISTS = "/var/lib/apt/lists";

/** Changes when `apt-get update` brought something new. Empty when there are no lists. */
export async function packageListsStamp(): Promise<string> {
  const names = (await readdir(LISTS).catch(() => [])).filter((name) => name.includes("Packages")).sort();
  const stamps = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(LISTS, name));
      return `${name} ${size} ${mtimeMs}`;
    }),
  );
  return stamps.length === 0 ? "" : sha256Strings(stamps);
}

/** Fetches the package lists when there are none and this process may; says what to do when it may not. */
export async function ensurePackageLists(): Promise<void> {
  await findTool("apt-cache");
  if ((await packageListsStamp()) !== "") return;
  if (process.getuid?.() !== 0) {
    throw new Error("apt has no package lists: run `apt-get update` as root, then build again");
  }
  await run("apt-get", ["update", "-q"], { show: true });
}

/**
 * The version of a package that apt would install.
 *
 * @throws Error when apt does not know the package
 */
export async function candidate(name: string): Promise<DebianPackage> {
  return await show(name, await candidateVersion(name));
}

/** The kernel package that Debian's meta package stands for. */
export async function candidateKernel(metaPackage: string): Promise<DebianPackage> {
  const fields = await record(metaPackage, await candidateVersion(metaPackage));
  const match = /(linux-image-\d[^\s,(]*)(?:\s*\(= ([^)]+)\))?/.exec(fields.get("Depends") ?? "");
  if (match?.[1] === undefined) throw new Error(`${metaPackage} depends on no kernel package`);
  return await show(match[1], match[2] ?? (await candidateVersion(match[1])));
}

async function candidateVersion(name: string): Promise<string> {
  const policy = (await run("apt-cache", ["policy", name])).toString();
  const version = /^\s*Candidate:\s*(\S+)/m.exec(policy)?.[1];
  if (version === undefined || version === "(none)") {
    throw new Error(
      `apt knows no package ${name}: the guest is made from Debian's packages; run \`apt-get update\` as root, ` +
        "or add Debian's archive to apt's sources",
    );
  }
  return version;
}

async function show(name: string, version: string): Promise<DebianPackage> {
  const sha256 = (await record(name, version)).get("SHA256");
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new Error(`the package lists have no SHA256 for ${name} ${version}: it comes from no archive`);
  }
  return { name, version, sha256 };
}

async function record(name: string, version: string): Promise<Map<string, string>> {
  return parseRecord((await run("apt-cache", ["show", `${name}=${version}`])).toString());
}

/** The fields of the first record of a Debian control file (deb-control(5)); folded lines are joined. */
export function parseRecord(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  const record = text.split(/\n\s*\n/, 1)[0] ?? "";
  for (const line of record.replaceAll(/\n[ \t]+/g, " ").split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/**
 * Downloads a .deb, unless it was before, and checks it.
 *
 * @returns its path in `cache`
 */
export async function fetchPackage(wanted: DebianPackage, cache: string): Promise<string> {
  const debs = join(cache, "debs");
  const path = join(debs, `${wanted.sha256}.deb`);
  if (await stat(path).catch(() => undefined)) return path;
  await mkdir(debs, { recursive: true });
  const aside = await mkdtemp(join(debs, "fetching-"));
  try {
    await run("apt-get", ["download", "-q", `${wanted.name}=${wanted.version}`], { cwd: aside });
    const file = (await readdir(aside)).find((name) => name.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get downloaded no ${wanted.name}`);
    const sha256 = await sha256File(join(aside, file));
    if (sha256 !== wanted.sha256) {
      throw new Error(`${file} has the SHA-256 ${sha256}, but the package lists say ${wanted.sha256}`);
    }
    await rename(join(aside, file), path);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return path;
}

/**
 * Unpacks some files of a .deb.
 *
 * @param patterns tar's wildcards, in which `*` also matches `/`; one that matches nothing is no error
 */
export async function unpackPackage(deb: string, into: string, patterns: readonly string[]): Promise<void> {
  await mkdir(into, { recursive: true });
  const source = spawn(await findTool("dpkg-deb"), ["--fsys-tarfile", deb], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const archiver = spawn(
    await findTool("tar"),
    ["--extract", "--no-same-owner", "--directory", into, "--wildcards", ...patterns],
    { env: { ...process.env, LC_ALL: "C" }, stdio: ["pipe", "inherit", "pipe"] },
  );
  // tar may end before it has read the padding behind the archive; dpkg-deb must still get rid of it.
  archiver.stdin.on("error", () => undefined);
  archiver.stdin.once("close", () => source.stdout.unpipe().resume());
  source.stdout.pipe(archiver.stdin);
  const errors: Buffer[] = [];
  archiver.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const ended = [source, archiver].map(
    (child) =>
      new Promise<number | null>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", resolve);
      }),
  );
  const [unpacked] = await Promise.all(ended);
  const complaints = Buffer.concat(errors)
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !/Not found in archive|Exiting with failure status/.test(line));
  if (unpacked !== 0 || complaints.length > 0) {
    throw new Error(`${deb} could not be unpacked: ${complaints.join("; ") || "dpkg-deb failed"}`);
  }
}
