import * as v from "valibot";
import { keyed } from "../../config/keys/keyed.ts";

const fileSchema = v.object({
  size: v.number(),
  /** Of the last change, ns since 1970: more than a JSON number holds. */
  mtimeNs: v.string(),
  inode: v.string(),
});

/** Of what a template holds when it was made: enough to see without reading it that a file is not the one that was saved. */
export type TemplateFile = v.InferOutput<typeof fileSchema>;

const detailsSchema = v.object({
  /** `machine`: the agent runs and nothing is mounted. `image`: the root is mounted, on a blank upper. */
  kind: v.picklist(["machine", "image"]),
  /** What the template's key is about, for people. */
  description: v.object({
    /** Release of the guest's kernel. */
    kernel: v.string(),
    qemuVersion: v.string(),
    accelerator: v.string(),
    cpus: v.number(),
    memoryMib: v.number(),
    /** Reference of the image, null for a machine template. */
    image: v.nullable(v.string()),
    /** Of the guest's root, null for a machine template. */
    rootDisk: v.nullable(v.string()),
  }),
  /** As the agent said when it started. */
  agentVersion: v.string(),
  kernelRelease: v.string(),
  /** Of the host's time-stamp counter as the guest was told; null when it was not. */
  tscKhz: v.nullable(v.number()),
});

/** What the maker of a template says about it. */
export type TemplateDetails = v.InferOutput<typeof detailsSchema>;

const recordSchema = v.object({
  format: v.literal(1),
  ...detailsSchema.entries,
  /** RFC 3339. */
  createdAt: v.string(),
  /** The boot of the host in which it was made; null when the host does not tell. */
  hostBoot: v.nullable(v.string()),
  /** Whether its files have reached the disk for certain. Until then they are good for this boot of the host only. */
  durable: v.boolean(),
  files: keyed(fileSchema),
  /** Why no template of this key can be made here; null for one that was. There are no files then. */
  unusable: v.nullable(v.string()),
});

/** The content of `template.json`. */
export type TemplateRecord = v.InferOutput<typeof recordSchema>;

/** @throws when the text is not what it should be */
export function parseTemplateRecord(text: string): TemplateRecord {
  return v.parse(recordSchema, JSON.parse(text));
}

export function templateRecordJson(record: TemplateRecord): string {
  return JSON.stringify(record, null, 2) + "\n";
}

const keyPattern = /^[0-9a-f]{64}$/;

export function isTemplateKey(name: string): boolean {
  return keyPattern.test(name);
}

/** The names of the files of a template. */
export function templateFileNames({ kind, unusable }: Pick<TemplateRecord, "kind" | "unusable">): string[] {
  if (unusable !== null) return [];
  return kind === "image" ? ["memory", "state", "upper.extents"] : ["memory", "state"];
}
