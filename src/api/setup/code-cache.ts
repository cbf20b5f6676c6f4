import { lstatSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { locateHome, type Home } from "../../store/home.ts";
import { fromSource } from "../../host/package-files.ts";

/**
 * The directory in which Node keeps what V8 has compiled of our programs, so that the next one need not compile it again.
 * Null where there is no home yet, which is for others to make, and for sources, which change from run to run.
 */
export function codeCache(home: Home): string | null {
  return !fromSource && isOursAlone(home.cache) ? join(home.cache, "code") : null;
}

/**
 * Has this process use and fill the cache for what it loads from now on. Where it cannot, the process is slower and
 * otherwise the same, so nothing is said.
 */
export function useCodeCache(): void {
  const directory = codeCache(locateHome());
  if (directory !== null) enableCompileCache(directory);
}

/** Whoever can write to the cache decides what we execute. */
function isOursAlone(path: string): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
  } catch {
    return false;
  }
}
