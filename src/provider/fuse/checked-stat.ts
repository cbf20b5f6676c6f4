import type { FileFacts } from "../../file-server/fuse/attributes.ts";
import type { ProvidedSpace, ProvidedStat } from "../file-provider.ts";

/** A provider has said what cannot be. */
export class Lie extends TypeError {}

/** What a provider has told of a file, found possible. */
export interface CheckedStat {
  readonly kind: ProvidedStat["kind"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly facts: FileFacts;
  /** Whether its time of change tells whether it has changed. */
  readonly hasTime: boolean;
  readonly id: number | null;
}

const types = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;
const defaultModes = { file: 0o644, directory: 0o755, symlink: 0o777 } as const;
const kinds: readonly string[] = Object.keys(types);
/** 2³²−1 means "unchanged" to chown(2). */
const maximumId = 2 ** 32 - 2;
/** As for a Date, ms. */
const latestMs = 8.64e15;
/** What du and df count in. */
const block = 512;

/** Whether a file may belong to it. */
export function isOwner(id: number): boolean {
  return id >= 0 && id <= maximumId;
}

/** Whether a file may have that time. @param ms since 1970 */
export function isTime(ms: number): boolean {
  return Math.abs(ms) <= latestMs;
}

/** With the type's bits, `S_IFMT`. */
export function modeOf({ kind, mode }: Pick<CheckedStat, "kind" | "mode">): number {
  return types[kind] | mode;
}

export function typeOfKind(kind: ProvidedStat["kind"]): number {
  return types[kind];
}

/** @throws Lie. Each property is read once: what is checked is what is used */
export function checkedStat(told: unknown): CheckedStat {
  const stat = objectOf("stat", told);
  const kind = stat["kind"];
  if (typeof kind !== "string" || !kinds.includes(kind))
    throw new Lie(`the kind of a file is ${shown(kind)}, not one of ${kinds.join(", ")}`);
  const known = kind as ProvidedStat["kind"];
  const size = whole("size", stat["size"], 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const used = whole("usedBytes", stat["usedBytes"], 0, Number.MAX_SAFE_INTEGER) ?? size;
  const mtimeMs = time("mtimeMs", stat["mtimeMs"]);
  return {
    kind: known,
    mode: whole("mode", stat["mode"], 0, 0o7777) ?? defaultModes[known],
    uid: whole("uid", stat["uid"], 0, maximumId) ?? 0,
    gid: whole("gid", stat["gid"], 0, maximumId) ?? 0,
    hasTime: mtimeMs !== null,
    id: whole("id", stat["id"], 1, Number.MAX_SAFE_INTEGER),
    facts: {
      size: BigInt(size),
      blocks: BigInt(Math.ceil(used / block)),
      mtimeNs: nanoseconds(mtimeMs ?? 0),
      atimeNs: nanoseconds(time("atimeMs", stat["atimeMs"]) ?? mtimeMs ?? 0),
      ctimeNs: nanoseconds(time("ctimeMs", stat["ctimeMs"]) ?? mtimeMs ?? 0),
      nlink: known === "directory" ? 2n : 1n,
      blksize: 4096n,
    },
  };
}

/** @throws Lie */
export function checkedSpace(told: unknown): Required<ProvidedSpace> {
  const space = objectOf("statFs", told);
  const count = (key: keyof ProvidedSpace): number => whole(key, space[key], 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const [totalBytes, freeBytes] = [count("totalBytes"), count("freeBytes")];
  if (freeBytes > totalBytes) throw new Lie(`freeBytes is ${freeBytes}, more than totalBytes, ${totalBytes}`);
  return { totalBytes, freeBytes, totalFiles: count("totalFiles"), freeFiles: count("freeFiles") };
}

/** @param method that has told it */
export function objectOf(method: string, told: unknown): Readonly<Record<string, unknown>> {
  if (typeof told !== "object" || told === null)
    throw new Lie(`${method}() has told ${shown(told)}, no object`);
  return told as Readonly<Record<string, unknown>>;
}

export function shown(value: unknown): string {
  return typeof value === "number" || typeof value === "string"
    ? JSON.stringify(value).slice(0, 100)
    : value === null
      ? "null"
      : typeof value;
}

function whole(key: string, value: unknown, least: number, most: number): number | null {
  if (value === undefined) return null;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  const what = typeof value === "number" ? String(value) : shown(value);
  throw new Lie(`${key} is ${what}, which is no whole number from ${least} to ${most}`);
}

function time(key: string, value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value === "number" && isTime(value)) return value;
  throw new Lie(
    `${key} is ${typeof value === "number" ? String(value) : shown(value)}, which is no time in ms`,
  );
}

/** To a microsecond: a number of ms holds no more. */
function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}
