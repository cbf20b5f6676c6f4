import { UsageError } from "../output/usage-error.ts";

/** The limits that Linux knows, by the names of setrlimit(2) without RLIMIT_. */
const resources = [
  "cpu",
  "fsize",
  "data",
  "stack",
  "core",
  "rss",
  "nproc",
  "nofile",
  "memlock",
  "as",
  "locks",
  "sigpending",
  "msgqueue",
  "nice",
  "rtprio",
  "rttime",
] as const;

export type Resource = (typeof resources)[number];

export interface ResourceLimit {
  readonly resource: Resource;
  /** In the resource's own unit; Infinity = unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/**
 * `RESOURCE=SOFT[:HARD]`, such as `nofile=1024:4096` or `core=unlimited`; without HARD both are the same.
 *
 * @throws UsageError
 */
export function parseResourceLimit(text: string): ResourceLimit {
  const match = /^([a-z]+)=([^:]+)(?::([^:]+))?$/i.exec(text.trim());
  const [, name = "", softText = "", hardText] = match ?? [];
  if (match === null) {
    throw new UsageError(
      `"${text}" is not a limit.`,
      "Limits are written RESOURCE=SOFT or RESOURCE=SOFT:HARD, for example nofile=1024:4096",
    );
  }
  const resource = resources.find((known) => known === name.toLowerCase());
  if (resource === undefined) {
    throw new UsageError(`"${name}" is not a resource.`, `Resources: ${resources.join(", ")}`);
  }
  const soft = parseAmount(softText);
  const hard = hardText === undefined ? soft : parseAmount(hardText);
  if (soft > hard) throw new UsageError(`in "${text}" the soft limit is above the hard one.`);
  return { resource, soft, hard };
}

function parseAmount(text: string): number {
  if (text.toLowerCase() === "unlimited") return Infinity;
  const amount = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(amount)) {
    throw new UsageError(`"${text}" is not a limit's value.`, 'It is a whole number or "unlimited"');
  }
  return amount;
}
