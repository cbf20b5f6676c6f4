import { open, type FileHandle } from "node:fs/promises";
import { logMaximumFiles } from "../../store/log-format.ts";
import { parseNetworkLine, type NetworkLine } from "../../store/network-log-format.ts";

const newline = 0x0a;

/**
 * Reads `network.log` and its rotated files, oldest line first. What is no line is passed over.
 *
 * @param since lines that are older are passed over without a look into them, but for those that tell of the policy
 */
export async function* readNetworkLog(
  path: string,
  since: Date | null = null,
): AsyncGenerator<NetworkLine, void, undefined> {
  // Of lines that all begin with their time the older one is the lesser text.
  const least = since === null ? "" : `{"t":"${since.toISOString()}`;
  const files = await openFiles(path);
  try {
    for (const file of files) {
      const bytes = await file.readFile();
      let start = 0;
      for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
        const text = bytes.toString("utf8", start, end);
        start = end + 1;
        if (text < least && !text.includes('"kind":"policy"')) continue;
        const line = parseNetworkLine(text);
        if (line !== null) yield line;
      }
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Oldest first. Opened newest first: a rotation meanwhile can then show a file twice, but hide none. */
async function openFiles(path: string): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  const seen = new Set<number>();
  for (let n = 0; n < logMaximumFiles; n++) {
    const file = await open(n === 0 ? path : `${path}.${n}`, "r").catch(() => null);
    if (file === null) continue;
    const { ino } = await file.stat();
    if (seen.has(ino)) await file.close();
    else files.unshift(file);
    seen.add(ino);
  }
  return files;
}
