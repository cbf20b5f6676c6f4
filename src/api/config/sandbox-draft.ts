import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import {
  checkCommandLine,
  checkGuestPath,
  checkHostname,
  checkLabel,
  checkMebibytes,
  checkOneOf,
  checkPositive,
  checkScriptName,
  checkSignal,
  checkString,
  checkWhole,
} from "../../config/checks.ts";
import { checkEnvPair, envPairs, type EnvInput } from "../../config/env.ts";
import { LogLevels, PullPolicies, ThpModes } from "../../config/enums.ts";
import { chooseImage, type ImageBuilder } from "./image-builder.ts";
import { checkRlimit, type Rlimit } from "../../config/rlimits.ts";
import { checkRootDisk, type RootDiskInput } from "../../config/root-disk-builder.ts";
import { intoRootfsSource, type RootfsSource } from "../../config/rootfs-source.ts";
import { deepFreeze, type SandboxConfig } from "./sandbox-config.ts";
import { checkSandboxName } from "../../store/names.ts";

/** Scripts travel to the guest in one message. */
const scriptsMaximumBytes = 3 * 1024 * 1024;

/** @throws UnsupportedOperationError that names the settings, when there are any */
export function refuseSettings(settings: readonly string[]): void {
  const [first] = settings;
  if (first === undefined) return;
  throw new UnsupportedOperationError(`this version of microsandbox does not have the setting ${first} yet`, {
    hint: `Leave ${settings.join(", ")} out.`,
  });
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * A sandbox's configuration while it is put together: the one code path behind the builder and the configuration object.
 * What is wrong is remembered and thrown by `finish`; the first mistake counts.
 */
export class SandboxDraft {
  readonly #fields: Mutable<Omit<SandboxConfig, "name" | "image">>;
  readonly #name: unknown;
  readonly #env = new Map<string, string>();
  readonly #scripts = new Map<string, string>();
  readonly #labels = new Map<string, string>();
  readonly #rlimits = new Map<string, Rlimit>();
  readonly #unsupported = new Set<string>();
  #image: RootfsSource | null = null;
  #mistake: unknown = null;

  constructor(name: unknown) {
    this.#name = name;
    this.#fields = {
      cpus: null,
      memoryMib: null,
      logLevel: null,
      quietLogs: false,
      workdir: null,
      shell: null,
      hostname: null,
      user: null,
      libkrunfwPath: null,
      entrypoint: null,
      cmd: null,
      env: [],
      scripts: [],
      labels: {},
      rlimits: [],
      pullPolicy: null,
      replace: false,
      replaceWithTimeoutMs: 10_000,
      maxDurationSecs: null,
      idleTimeoutSecs: null,
      ephemeral: false,
      detached: false,
      disableNetwork: false,
      metricsSampleIntervalMs: null,
      thp: null,
      rootDisk: null,
      registry: null,
      imageDigest: null,
      stopSignal: null,
    };
  }

  /** What was set that this version cannot do, by the setters' names. */
  get unsupported(): readonly string[] {
    return [...this.#unsupported];
  }

  /** Runs a check and keeps its first complaint for later. */
  attempt(change: (fields: Mutable<Omit<SandboxConfig, "name" | "image">>) => void): void {
    try {
      change(this.#fields);
    } catch (error) {
      this.#mistake ??= error;
    }
  }

  /** Notes a setting that a later version brings, after its arguments have been looked at. */
  notYet(setting: string, check?: () => void): void {
    this.attempt(() => {
      check?.();
      this.#unsupported.add(setting);
    });
  }

  image(input: string | RootfsSource): void {
    this.attempt(() => {
      this.#image = intoRootfsSource(input);
    });
  }

  imageWith(configure: (image: ImageBuilder) => ImageBuilder): void {
    this.attempt((fields) => {
      const { source, rootDisk } = chooseImage(configure);
      this.#image = source;
      if (rootDisk !== null) fields.rootDisk = rootDisk;
    });
  }

  rootDisk(input: RootDiskInput): void {
    this.attempt((fields) => (fields.rootDisk = checkRootDisk(input)));
  }

  env(input: EnvInput): void {
    this.attempt(() => {
      for (const [key, value] of envPairs(input)) this.#env.set(...checkEnvPair(key, value));
    });
  }

  labels(input: Iterable<readonly [string, string]>): void {
    this.attempt(() => {
      for (const [key, value] of input) {
        checkLabel(key, value);
        this.#labels.set(key, value);
      }
    });
  }

  scripts(input: Iterable<readonly [string, string]>): void {
    this.attempt(() => {
      for (const [name, content] of input) {
        if (typeof content !== "string")
          throw new InvalidConfigError(`the content of the script ${name} must be text`);
        this.#scripts.set(checkScriptName(name), content);
      }
      const bytes = [...this.#scripts].reduce((sum, pair) => sum + Buffer.byteLength(pair[0] + pair[1]), 0);
      if (bytes > scriptsMaximumBytes) {
        throw new InvalidConfigError(
          `the scripts are ${bytes} bytes together; at most ${scriptsMaximumBytes} are allowed`,
        );
      }
    });
  }

  rlimit(resource: string, soft: number, hard: number): void {
    this.attempt(() => {
      this.#rlimits.set(resource, checkRlimit(resource, soft, hard));
    });
  }

  /** @throws InvalidConfigError for the first thing that was wrong */
  finish(): SandboxConfig {
    checkSandboxName(this.#name);
    // What a setter complained about is an error of this package or a TypeError.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (this.#mistake !== null) throw this.#mistake;
    if (this.#image === null) {
      // Some settings of later versions stand in the image's place.
      refuseSettings(this.unsupported);
      throw new InvalidConfigError(`the sandbox ${this.#name} has no image`, {
        hint: 'Set one: image("localhost/base").',
      });
    }
    if (this.#image.kind !== "oci" && this.#fields.rootDisk !== null) {
      throw new InvalidConfigError(
        `the guest writes its ${this.#image.kind} root itself: it has no root disk besides`,
        { hint: "Leave rootDisk out, or use an image." },
      );
    }
    return deepFreeze({
      ...this.#fields,
      name: this.#name,
      image: this.#image,
      env: [...this.#env],
      scripts: [...this.#scripts],
      labels: Object.fromEntries(this.#labels),
      rlimits: [...this.#rlimits.values()],
    });
  }
}

export interface ScalarSetters {
  readonly cpus: (value: number) => void;
  readonly memory: (value: number) => void;
  readonly logLevel: (value: string) => void;
  readonly workdir: (value: string) => void;
  readonly shell: (value: string) => void;
  readonly hostname: (value: string) => void;
  readonly user: (value: string) => void;
  readonly pullPolicy: (value: string) => void;
  readonly libkrunfwPath: (value: string) => void;
  readonly entrypoint: (value: Iterable<string>) => void;
  readonly cmd: (value: Iterable<string>) => void;
  readonly maxDuration: (value: number) => void;
  readonly idleTimeout: (value: number) => void;
  readonly thp: (value: string) => void;
  readonly stopSignal: (value: string) => void;
  readonly metricsSampleIntervalMs: (value: number) => void;
  readonly replaceWithTimeoutMs: (value: number) => void;
}

/** The scalar settings with their checks, shared by the builder and the configuration object. */
export function settersOf(draft: SandboxDraft): ScalarSetters {
  return {
    cpus: (value: number): void => {
      draft.attempt((fields) => (fields.cpus = checkWhole("cpus", value, 1, 255)));
    },
    memory: (value: number): void => {
      draft.attempt((fields) => (fields.memoryMib = checkMebibytes("memory", value)));
    },
    logLevel: (value: string): void => {
      draft.attempt((fields) => (fields.logLevel = checkOneOf("logLevel", value, LogLevels)));
    },
    workdir: (value: string): void => {
      draft.attempt((fields) => (fields.workdir = checkGuestPath("workdir", value)));
    },
    shell: (value: string): void => {
      draft.attempt((fields) => (fields.shell = checkString("shell", value)));
    },
    hostname: (value: string): void => {
      draft.attempt((fields) => (fields.hostname = checkHostname(value)));
    },
    user: (value: string): void => {
      draft.attempt((fields) => (fields.user = checkString("user", value)));
    },
    pullPolicy: (value: string): void => {
      draft.attempt((fields) => (fields.pullPolicy = checkOneOf("pullPolicy", value, PullPolicies)));
    },
    libkrunfwPath: (value: string): void => {
      draft.attempt((fields) => (fields.libkrunfwPath = checkString("libkrunfwPath", value)));
    },
    entrypoint: (value: Iterable<string>): void => {
      draft.attempt((fields) => (fields.entrypoint = checkCommandLine("entrypoint", value)));
    },
    cmd: (value: Iterable<string>): void => {
      draft.attempt((fields) => (fields.cmd = checkCommandLine("cmd", value)));
    },
    maxDuration: (value: number): void => {
      draft.attempt((fields) => (fields.maxDurationSecs = checkPositive("maxDuration", value)));
    },
    idleTimeout: (value: number): void => {
      draft.attempt((fields) => (fields.idleTimeoutSecs = checkPositive("idleTimeout", value)));
    },
    thp: (value: string): void => {
      draft.attempt((fields) => (fields.thp = checkOneOf("thp", value, ThpModes)));
    },
    stopSignal: (value: string): void => {
      draft.attempt((fields) => (fields.stopSignal = checkSignal("stopSignal", value)));
    },
    replaceWithTimeoutMs: (value: number): void => {
      draft.attempt(
        (fields) => (fields.replaceWithTimeoutMs = checkWhole("replaceWithTimeoutMs", value, 0, 2 ** 31 - 1)),
      );
    },
    metricsSampleIntervalMs: (value: number): void => {
      draft.attempt(
        (fields) =>
          (fields.metricsSampleIntervalMs = checkWhole("metricsSampleIntervalMs", value, 0, 2 ** 31 - 1)),
      );
    },
  };
}
