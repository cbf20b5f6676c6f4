import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, constants, realpath, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { pipeline } from "node:stream/promises";

/** The Debian package that brings each program the recipe runs. */
const debianPackages: Readonly<Record<string, string>> = {
  "apt-cache": "apt",
  "apt-get": "apt",
  cargo: "cargo",
  "dpkg-deb": "dpkg",
  mke2fs: "e2fsprogs",
  tar: "tar",
  xz: "xz-utils",
};

/** Where Debian keeps administration programs; an ordinary user's PATH leaves these out. */
const ADMINISTRATION_PATHS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * The full path of a program.
 *
 * @throws Error that names the package to install
 */
export async function findTool(name: string): Promise<string> {
  const path = (process.env["PATH"] ?? "").split(delimiter);
  for (const directory of [...path, ...ADMINISTRATION_PATHS]) {
    if (directory === "") continue;
    const candidate = join(directory, name);
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  const from = debianPackages[name];
  throw new Error(
    `the program ${name} is missing: the guest is made from Debian packages, with Debian's tools` +
      (from === undefined ? "" : `. Run \`apt-get install -y ${from}\` as root`),
  );
}

/** Changes when another version of a program is installed, without running it. */
export async function toolStamp(name: string): Promise<string> {
  const { size, mtimeMs } = await stat(await realpath(await findTool(name)));
  return `${name} ${size} ${mtimeMs}`;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes for the program's standard input. */
  readonly input?: Uint8Array;
  /** Show what the program prints, instead of collecting it. */
  readonly show?: boolean;
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output
 * @throws Error with its standard error when it does not exit with 0
 */
export async function run(name: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const child = spawn(name.includes("/") ? name : await findTool(name), args, {
    cwd: options.cwd,
    // Messages are matched and shown: one language for all.
    env: { ...process.env, LC_ALL: "C", ...options.env },
    stdio: options.show === true ? ["pipe", "inherit", "inherit"] : "pipe",
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  // A program may end without having read all its input; its exit code tells whether that was right.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) {
    const words = Buffer.concat(errors).toString().trim();
    throw new Error(`${name} ${args.join(" ")} failed${words === "" ? "" : `: ${words}`}`);
  }
  return Buffer.concat(output);
}

/** SHA-256 of a file's content, in hex. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}

/** SHA-256 of strings, in hex; no two different lists have the same text. */
export function sha256Strings(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
