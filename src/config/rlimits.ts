import { InvalidConfigError } from "../errors/index.ts";
import { checkList, shown } from "./checks.ts";
import type { SettingType } from "./settings/setting.ts";
import { refuseUnknownKeys } from "./keys/unknown-keys.ts";

/** Linux's numbers: include/uapi/asm-generic/resource.h. */
const resourceNumbers = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

/** A resource of setrlimit(2), without `RLIMIT_`. */
export type RlimitResource = keyof typeof resourceNumbers;

export const rlimitResources = Object.keys(resourceNumbers) as readonly RlimitResource[];

/** A limit of setrlimit(2) in the resource's own unit (bytes, seconds, a count). `Infinity` means unlimited. */
export interface Rlimit {
  readonly resource: RlimitResource;
  readonly soft: number;
  readonly hard: number;
}

const unlimited = 0xffff_ffff_ffff_ffffn;

/** @throws InvalidConfigError for an unknown resource, a limit that is no count, or soft > hard */
export function checkRlimit(resource: string, soft: number, hard: number): Rlimit {
  if (!isResource(resource)) {
    throw new InvalidConfigError(`unknown resource limit ${shown(resource)}`, {
      hint: `Use one of: ${rlimitResources.join(", ")}.`,
    });
  }
  for (const value of [soft, hard]) {
    if (value !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(value) || value < 0)) {
      throw new InvalidConfigError(
        `the limit ${shown(value)} of ${resource} is not a whole number from 0 up`,
        {
          hint: "Use a whole number, or Infinity for no limit.",
        },
      );
    }
  }
  if (soft > hard) {
    throw new InvalidConfigError(`the soft limit ${soft} of ${resource} is above the hard limit ${hard}`, {
      hint: "Raise the hard limit or lower the soft one.",
    });
  }
  return { resource, soft, hard };
}

export function encodeRlimit(limit: Rlimit): { resource: number; soft: bigint; hard: bigint } {
  return {
    resource: resourceNumbers[limit.resource],
    soft: encodeValue(limit.soft),
    hard: encodeValue(limit.hard),
  };
}

function encodeValue(value: number): bigint {
  return value === Number.POSITIVE_INFINITY ? unlimited : BigInt(value);
}

function isResource(name: string): name is RlimitResource {
  return Object.hasOwn(resourceNumbers, name);
}

const rlimitKeys = ["resource", "soft", "hard"] as const satisfies readonly (keyof Rlimit)[];

export const rlimitsType: SettingType<readonly Rlimit[], readonly Rlimit[]> = {
  form: { kind: "structure" },
  values: "a resource of setrlimit(2) with its soft and hard limit",
  check: (name, input) =>
    joinRlimits(
      [],
      checkList(name, input).map((limit, index) => {
        refuseUnknownKeys(`rlimits[${index}]`, limit, rlimitKeys);
        const { resource, soft, hard } = limit as Rlimit;
        return checkRlimit(resource, soft, hard);
      }),
    ),
  join: joinRlimits,
};

/** Of a resource that comes more than once, the last limit counts. */
function joinRlimits(earlier: readonly Rlimit[], later: readonly Rlimit[]): Rlimit[] {
  return [...new Map([...earlier, ...later].map((limit) => [limit.resource, limit])).values()];
}
