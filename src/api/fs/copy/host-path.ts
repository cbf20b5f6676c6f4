import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkString } from "../../../config/guest-text.ts";
import { InvalidConfigError } from "../../../errors/index.ts";

/** A path of this computer, as Node takes them: text, relative to this process's working directory, or a `file:` URL. */
export type HostPath = string | URL;

/** @throws InvalidConfigError */
export function hostPathText(name: string, path: unknown): string {
  if (path instanceof URL) return checkString(name, pathOf(name, path));
  if (typeof path === "string") return checkString(name, path);
  throw new InvalidConfigError(`${name} is neither text nor a file: URL`, {
    hint: "Give a string, or a URL such as new URL('./input', import.meta.url).",
  });
}

/** What is copied from: in bytes it may be a name that is no UTF-8. @returns absolute @throws InvalidConfigError */
export function sourcePath(name: string, path: unknown): Buffer {
  if (!(path instanceof Uint8Array)) return Buffer.from(resolve(hostPathText(name, path)));
  if (path.length === 0 || path.includes(0)) throw new InvalidConfigError(`${name} is empty, or holds a NUL`);
  return path[0] === slash ? Buffer.from(path) : Buffer.concat([Buffer.from(`${process.cwd()}/`), path]);
}

const slash = 0x2f;

function pathOf(name: string, url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new InvalidConfigError(`${name} is ${url.protocol}, which is no file of this computer`, {
      cause: error,
      hint: "Give a file: URL or a path.",
    });
  }
}
