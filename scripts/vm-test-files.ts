/** Which files of tests with real machines there are, what they need, and which of them a round runs. */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { hostTags, startTags, type HostTag, type Needs, type Round, type StartTag } from "../test/vm/tags.ts";

export const vmTestDirectory = join(import.meta.dirname, "..", "test", "vm");

export interface VmTestFile {
  readonly path: string;
  /** The file's name without `.test.ts`. */
  readonly name: string;
  readonly needs: Needs;
}

/** What narrows a round down. Everything is run when both are empty. */
export interface Selection {
  /** Files that have one of these tags. */
  readonly tags: readonly string[];
  /** Paths, or names with or without `.test.ts`. */
  readonly files: readonly string[];
}

const isStartTag = (word: string): word is StartTag => Object.hasOwn(startTags, word);
const isHostTag = (word: string): word is HostTag => Object.hasOwn(hostTags, word);

/**
 * @param source of a test file
 * @returns what it says that it needs
 * @throws Error when it says nothing, or names what there is not
 */
export function readNeeds(name: string, source: string): Needs {
  const [, list] = /^export const needs: Needs = \[([^\]]*)\];$/m.exec(source) ?? [];
  if (list === undefined) {
    throw new Error(
      `${name} does not say what it needs: export const needs: Needs = ["running"]; (test/vm/tags.ts)`,
    );
  }
  const words = [...list.matchAll(/"([^"]*)"/g)].map(([, word = ""]) => word);
  const [start = "", ...others] = words;
  if (!isStartTag(start)) {
    throw new Error(
      `${name} begins its needs with ${JSON.stringify(start)}, not with one of ${Object.keys(startTags).join(", ")}`,
    );
  }
  return [
    start,
    ...others.map((word) => {
      if (isHostTag(word)) return word;
      throw new Error(
        `${name} needs ${JSON.stringify(word)}, which is none of ${Object.keys(hostTags).join(", ")}`,
      );
    }),
  ];
}

export async function vmTestFiles(directory = vmTestDirectory): Promise<VmTestFile[]> {
  const names = (await readdir(directory, { recursive: true }))
    .filter((name) => name.endsWith(".test.ts"))
    .sort();
  return await Promise.all(
    names.map(async (file) => {
      const path = join(directory, file);
      const needs = readNeeds(file, await readFile(path, "utf8"));
      return { path, name: basename(file, ".test.ts"), needs };
    }),
  );
}

function isIn({ needs: [start] }: VmTestFile, round: Round): boolean {
  const rounds: readonly Round[] = startTags[start];
  return rounds.includes(round);
}

/**
 * @throws Error when there is no such tag or file, a file is not of this round, or nothing is left to run
 */
export function select(all: readonly VmTestFile[], round: Round, { tags, files }: Selection): VmTestFile[] {
  const unknown = tags.find((tag) => !isStartTag(tag) && !isHostTag(tag));
  if (unknown !== undefined) throw new Error(`there is no tag ${JSON.stringify(unknown)}`);
  const names = new Set(files.map((file) => basename(file).replace(/(\.test)?\.ts$/, "")));
  for (const name of names) {
    const file = all.find((one) => one.name === name);
    if (file === undefined) throw new Error(`there is no ${name}.test.ts in test/vm`);
    if (!isIn(file, round))
      throw new Error(`${name} is not in the round ${round}: it needs ${file.needs[0]}`);
  }
  const selected = all.filter((file) => {
    const isNamed = names.size === 0 || names.has(file.name);
    const isTagged = tags.length === 0 || file.needs.some((tag) => tags.includes(tag));
    return isIn(file, round) && isNamed && isTagged;
  });
  if (selected.length === 0) throw new Error(`nothing of this is run in the round ${round}`);
  return selected;
}

/** The programs that the files need. */
export function neededPrograms(files: readonly VmTestFile[]): string[] {
  const tags = new Set(files.flatMap(({ needs: [, ...others] }) => others));
  return [...new Set([...tags].flatMap((tag) => hostTags[tag]))].sort();
}

export const isAlone = ({ needs: [, ...others] }: VmTestFile): boolean => others.includes("alone");
