import { CustomError } from "../../errors/index.ts";
import {
  listTemplates,
  pruneTemplates,
  type ListedTemplate,
  type RemovedTemplates,
} from "../../store/templates/template-eviction.ts";
import { locateHome } from "../../store/home.ts";

/** What `msb` does with templates. Programs need not know of them, so none of this is public. */

/** A template as it is stored, or the record that none can be made. */
export interface StoredTemplate {
  /** 64 hexadecimal digits. */
  readonly key: string;
  readonly status: "ready" | "unusable" | "damaged";
  /** Why it is not ready, in one clause; empty when it is. */
  readonly reason: string;
  /** What it takes on the disk. */
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
  /** Null when it is damaged. */
  readonly shape: TemplateShape | null;
}

/** What a sandbox must be like to start from it. */
export interface TemplateShape {
  readonly kind: "machine" | "image";
  readonly image: string | null;
  readonly rootDisk: string | null;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly accelerator: string;
  readonly qemuVersion: string;
  readonly kernel: string;
  readonly agentVersion: string;
  readonly createdAt: Date;
}

/** All of them, the one used last first. @throws IoError */
export async function list(): Promise<StoredTemplate[]> {
  return (await listTemplates(locateHome())).map(toStored);
}

/**
 * Finds the one template whose key begins so.
 *
 * @throws CustomError when there is none or more than one, IoError
 */
export async function find(keyStart: string): Promise<StoredTemplate> {
  // Every key begins with nothing: with a single template here, that would be found.
  const found = keyStart === "" ? [] : (await list()).filter(({ key }) => key.startsWith(keyStart));
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const problem = first === undefined ? "no template has" : `${found.length} templates have`;
  throw new CustomError(`${problem} a key that begins with ${JSON.stringify(keyStart)}`, {
    hint:
      first === undefined
        ? 'See "msb template ls" for the ones there are.'
        : 'Give more digits: "msb template ls -q" shows all of them.',
  });
}

/** Removes all of them. @throws IoError for what could not be removed, after the rest was */
export async function prune(): Promise<RemovedTemplates> {
  return await pruneTemplates(locateHome());
}

function toStored({ key, record, damage, diskBytes, lastUsedAt }: ListedTemplate): StoredTemplate {
  const common = { key, sizeBytes: diskBytes, lastUsedAt };
  if (record === null) return { ...common, status: "damaged", reason: damage ?? "", shape: null };
  const { kind, description, agentVersion, createdAt, unusable } = record;
  return {
    ...common,
    status: unusable === null ? "ready" : "unusable",
    reason: unusable ?? "",
    shape: { kind, ...description, agentVersion, createdAt: new Date(createdAt) },
  };
}
