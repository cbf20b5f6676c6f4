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
  const names = (await readdir(directory)).filter((name) => name.endsWith(".test.ts")).sort();
  return await Promise.all(
    names.map(async (file) => {
      const path = join(directory, file);
      const needs = readNeeds(file, await readFile(path, "utf8"));
      return { path, name: basename(file, ".test.ts"), needs };
    }),
  );
}

/**
 * @throws Error when a tag or a file is not there, or nothing is left to run
 */
export function select(all: readonly VmTestFile[], round: Round, { tags, files }: Selection): VmTestFile[] {
  const unknown = tags.find((tag) => !isStartTag(tag) && !isHostTag(tag));
  if (unknown !== undefined) throw new Error(`there is no tag ${JSON.stringify(unknown)}`);
  const names = new Set(files.map((file) => basename(file).replace(/(\.test)?\.ts$/, "")));
  for (const name of names) {
    if (!all.some((file) => file.name === name)) throw new Error(`there is no test/vm/${name}.test.ts`);
  }
  const selected = all.filter(({ name, needs: [start, ...others] }) => {
    const rounds: readonly Round[] = startTags[start];
    const has = (tag: string): boolean => tag === start || others.some((other) => other === tag);
    return (
      rounds.includes(round) && (tags.length === 0 || tags.some(has)) && (names.size === 0 || names.has(name))
    );
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
