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
    hint:
      path instanceof Uint8Array
        ? "Give it as text. What is no UTF-8 is copied with the directory that it is in."
        : "Give a string, or a URL such as new URL('./input', import.meta.url).",
  });
}

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
