import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  MicrosandboxError,
  JsonError,
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  SandboxReplacedError,
  SandboxStillRunningError,
} from "../errors/index.ts";
import { isTerminal, type SandboxStatus } from "../config/enums.ts";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { randomHex } from "../host/system/entropy.ts";
import { socketPath, type Home } from "./home.ts";
import { removeLeftover, type Discard } from "./leftovers.ts";
import { tryLockFile, type FileLock } from "../host/locks/lock.ts";
import { writeSecretFile, type StoredSecrets } from "./secret-file.ts";
import { checkRecord, readRecord, recordText, type SandboxRecord } from "./sandbox-record.ts";
import { settleCheckpoints } from "./checkpoints/settle-checkpoints.ts";
import { actualStatus, initialState, readState, writeState, type SandboxState } from "./state.ts";
import { errorCode, ioError } from "../host/system-error.ts";

/** The files of one sandbox. */
export interface SandboxPaths {
  readonly directory: string;
  readonly config: string;
  readonly state: string;
  /** Held by the sandbox's supervisor for as long as it lives. */
  readonly lock: string;
  readonly upper: string;
  /** The values of its secrets; there is one if any is stored. Only the owner can read it. */
  readonly secrets: string;
  /** There until the sandbox's patches are applied. */
  readonly unpatched: string;
  readonly logs: string;
  readonly execLog: string;
  /** What is known of its jobs; there is one if there were any. */
  readonly jobs: string;
  readonly runtimeLog: string;
  readonly kernelLog: string;
  /** There is one if the sandbox has a network. */
  readonly networkLog: string;
  readonly bootError: string;
}

export function sandboxPaths(home: Home, name: string): SandboxPaths {
  return pathsIn(join(home.sandboxes, name));
}

/** Where a sandbox's files are in its directory. */
export function pathsIn(directory: string): SandboxPaths {
  const logs = join(directory, "logs");
  return {
    directory,
    config: join(directory, "config.json"),
    state: join(directory, "state.json"),
    lock: join(directory, "lock"),
    upper: join(directory, "upper.img"),
    secrets: join(directory, "secrets.json"),
    unpatched: join(directory, "unpatched"),
    logs,
    execLog: join(logs, "exec.log"),
    jobs: join(logs, "jobs.json"),
    runtimeLog: join(logs, "runtime.log"),
    kernelLog: join(logs, "kernel.log"),
    networkLog: join(logs, "network.log"),
    bootError: join(logs, "boot-error.json"),
  };
}

/** A sandbox as found on disk. */
export interface FoundSandbox {
  readonly paths: SandboxPaths;
  readonly record: SandboxRecord;
  readonly configJson: string;
  readonly state: SandboxState;
  readonly status: SandboxStatus;
}

// A sandbox's name begins with a letter or a digit, so these can never be one.
const stagingPrefix = ".new-";
const removedPrefix = ".removed-";

/** Of a sandbox that is being made. */
export function stagingPaths(home: Home, id: string): SandboxPaths {
  return pathsIn(join(home.sandboxes, stagingPrefix + id));
}

export function newSandboxId(): string {
  return randomHex(8);
}

/**
 * Creates the sandbox's directory, complete from the moment it can be seen.
 *
 * @param secrets the values that are stored
 * @param fill puts more into it, before it can be seen
 * @returns the lock of the new sandbox, held
 * @throws SandboxAlreadyExistsError, IoError; nothing is left then
 */
export async function createSandboxDirectory(
  home: Home,
  record: SandboxRecord,
  secrets: StoredSecrets = new Map(),
  fill: (staging: SandboxPaths) => Promise<void> = () => Promise.resolve(),
): Promise<FileLock> {
  checkRecord(record);
  const staging = stagingPaths(home, record.id);
  const final = sandboxPaths(home, record.name);
  try {
    await mkdir(staging.directory, { mode: 0o700 });
    await mkdir(staging.logs, { mode: 0o700 });
    const lock = await tryLockFile(staging.lock);
    if (lock === null) throw new Error("its lock is held by someone else");
    try {
      await Promise.all([
        writeFileAtomically(staging.config, recordText(record)),
        writeState(staging.state, initialState()),
        secrets.size === 0 ? undefined : writeSecretFile(staging.secrets, secrets),
        record.config.patches.length === 0 ? undefined : writeFile(staging.unpatched, "", { mode: 0o600 }),
      ]);
      await fill(staging);
      await rename(staging.directory, final.directory);
      return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    await rm(staging.directory, { recursive: true, force: true }).catch(() => undefined);
    const code = errorCode(error);
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR")
      throw await nameTaken(home, record.name);
    if (error instanceof MicrosandboxError) throw error;
    throw ioError(`create the sandbox ${record.name} in ${home.sandboxes}`, error);
  }
}

/** The error for a name that is in use, by a sandbox or by something else. */
export async function nameTaken(home: Home, name: string): Promise<SandboxAlreadyExistsError> {
  const paths = sandboxPaths(home, name);
  const found = await readRecord(paths.config).catch(() => null);
  if (found === null) {
    return new SandboxAlreadyExistsError(
      `${paths.directory} exists but is no sandbox (its config.json is missing or damaged)`,
      {
        hint: `Remove it with "msb rm -f ${name}", create with replace, or choose another name.`,
      },
    );
  }
  return new SandboxAlreadyExistsError(`a sandbox named ${name} exists already`, {
    hint: `Create with replace (--replace), remove it first ("msb rm -f ${name}"), start it ("msb start ${name}"), or choose another name.`,
  });
}

/** Whether anything has the name, a sandbox or not. */
export async function nameExists(home: Home, name: string): Promise<boolean> {
  try {
    await stat(sandboxPaths(home, name).directory);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at the sandbox ${name}`, error);
  }
}

/** How long a lock may outlast its sandbox, and how often to look, ms. */
const letGoMs = 2000;
const letGoRetryMs = 5;

/** How the two files of a sandbox are read that say what it is. */
export interface SandboxReaders {
  record(path: string): ReturnType<typeof readRecord>;
  state(path: string): ReturnType<typeof readState>;
}
const fromDisk: SandboxReaders = { record: readRecord, state: readState };

/** @throws SandboxNotFoundError, JsonError, IoError */
export async function findSandbox(
  home: Home,
  name: string,
  readers: SandboxReaders = fromDisk,
): Promise<FoundSandbox> {
  const paths = sandboxPaths(home, name);
  const found = await readers.record(paths.config);
  if (found === null) throw notFound(name);
  if (found.record.name !== name) {
    throw new JsonError(`${paths.config} belongs to the sandbox ${found.record.name}`, {
      hint: `A copied directory is no sandbox of its own: remove ${paths.directory}.`,
    });
  }
  const { state, status } = await readStatus(paths, readers);
  if (found.record.config.ephemeral && (status === "stopped" || status === "crashed")) {
    // Its supervisor was killed before it could remove it.
    await removeSandbox(home, name, found.record.id).catch(() => undefined);
    throw notFound(name);
  }
  if (
    isTerminal(status) &&
    (await isUnpatched(paths, found.record)) &&
    (await isGivenUp(home, found.record))
  ) {
    throw notFound(name);
  }
  return { paths, record: found.record, configJson: found.json, state, status };
}

/** Whether a sandbox has patches that are not applied, or not all of them: it is only being created, or never was. */
export async function isUnpatched(paths: SandboxPaths, { config }: SandboxRecord): Promise<boolean> {
  if (config.patches.length === 0) return false;
  try {
    await stat(paths.unpatched);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw ioError(`look at ${paths.unpatched}`, error);
  }
}

/** Notes that all patches of a sandbox are applied. @throws IoError */
export async function markPatched({ unpatched }: SandboxPaths): Promise<void> {
  await rm(unpatched, { force: true }).catch((error: unknown) => {
    throw ioError(`remove ${unpatched}`, error);
  });
}

/** Removes a sandbox whose creation has ended before its patches were applied. @returns false for one that is being created */
async function isGivenUp(home: Home, { name, id }: SandboxRecord): Promise<boolean> {
  try {
    await removeSandbox(home, name, id);
    return true;
  } catch (error) {
    return !(error instanceof SandboxStillRunningError);
  }
}

/** What a sandbox's record says, and how it is really. */
async function readStatus(
  paths: SandboxPaths,
  readers: SandboxReaders,
): Promise<{ state: SandboxState; status: SandboxStatus }> {
  let state = (await readers.state(paths.state)) ?? initialState();
  let status = await actualStatus(state);
  if (status !== state.status) {
    // Its supervisor is gone. It may have recorded the end and left between the two looks; nothing changes after that.
    state = (await readers.state(paths.state)) ?? initialState();
    status = await actualStatus(state);
  }
  return { state, status };
}

const stillRunningHints = {
  remove: (name: string) =>
    `Stop it first ("msb stop ${name}"), or remove it with force ("msb rm -f ${name}").`,
  start: (name: string) => `Use it as it is, or restart it ("msb restart ${name}").`,
  modify: (name: string) => `It was started at this moment: try again ("msb modify ${name}").`,
  "discard changes of": (name: string) => `Stop it first ("msb stop ${name}"): its guest would not notice.`,
  "take a snapshot of": (name: string) => `Stop it first ("msb stop ${name}").`,
} as const;

/**
 * Takes the lock of a sandbox that nobody runs, to start it, to remove it or to change what it has written.
 *
 * @throws SandboxStillRunningError, SandboxNotFoundError, SandboxReplacedError when the name is another sandbox's now
 */
export async function lockStoppedSandbox(
  home: Home,
  name: string,
  expectedId: string | null,
  action: keyof typeof stillRunningHints,
): Promise<FileLock> {
  const paths = sandboxPaths(home, name);
  const lock = await tryLockOnceEnded(paths);
  if (lock === null) {
    if (!(await nameExists(home, name))) throw notFound(name);
    await requireId(paths, name, expectedId);
    const state = action === "start" ? "already running" : "it is running";
    throw new SandboxStillRunningError(`cannot ${action} sandbox '${name}': ${state}`, {
      hint: stillRunningHints[action](name),
    });
  }
  try {
    await requireId(paths, name, expectedId);
    if (action !== "remove") await settleCheckpoints(paths.directory);
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * A supervisor records the end of its sandbox a moment before it lets go of the lock, and one that is killed is gone a moment before its
 * descriptors are: that moment is waited for.
 */
async function tryLockOnceEnded(paths: SandboxPaths): Promise<FileLock | null> {
  const giveUpAt = performance.now() + letGoMs;
  for (;;) {
    const lock = await tryLockFile(paths.lock);
    if (lock !== null || performance.now() >= giveUpAt) return lock;
    const state = await readState(paths.state).catch(() => null);
    if (state === null || !isTerminal(await actualStatus(state))) return null;
    await new Promise((resolve) => setTimeout(resolve, letGoRetryMs));
  }
}

/** @throws SandboxReplacedError, SandboxNotFoundError */
async function requireId(paths: SandboxPaths, name: string, expectedId: string | null): Promise<void> {
  if (expectedId === null) return;
  const found = await readRecord(paths.config);
  if (found === null) throw notFound(name);
  if (found.record.id !== expectedId) throw replaced(name);
}

/**
 * Removes a stopped sandbox and all that is its own. Also clears away what is no readable sandbox any more.
 *
 * @throws SandboxStillRunningError, SandboxNotFoundError, SandboxReplacedError, IoError
 */
export async function removeSandbox(home: Home, name: string, expectedId: string | null): Promise<void> {
  const paths = sandboxPaths(home, name);
  const lock = await lockStoppedSandbox(home, name, expectedId, "remove");
  try {
    const found = await readRecord(paths.config).catch(() => null);
    const aside = await setAside(home, paths, found?.record.id ?? null);
    await rm(aside, { recursive: true, force: true }).catch((error: unknown) => {
      throw ioError(`remove ${aside}`, error);
    });
  } finally {
    await lock.release();
  }
  await sweepLeftovers(home);
}

/**
 * Takes a sandbox whose lock the caller holds out of everyone's sight: its name is free from here on.
 *
 * @param id null when it cannot be read any more
 * @returns the directory that is left to be removed
 * @throws IoError
 */
export async function setAside(home: Home, paths: SandboxPaths, id: string | null): Promise<string> {
  const aside = join(home.sandboxes, removedPrefix + randomHex(8));
  try {
    // That of a supervisor that was killed is there still.
    if (id !== null) await rm(socketPath(home, id), { force: true });
    await rename(paths.directory, aside);
  } catch (error) {
    throw ioError(`remove ${paths.directory}`, error);
  }
  return aside;
}

/** Clears what a process left that was killed while it created or removed a sandbox. */
export async function sweepLeftovers(home: Home, discard: Discard = removeLeftover): Promise<void> {
  for (const name of await readdir(home.sandboxes).catch(() => [])) {
    const path = join(home.sandboxes, name);
    if (name.startsWith(removedPrefix)) {
      await discard(path).catch(() => undefined);
    } else if (name.startsWith(stagingPrefix)) {
      // Its creator holds the lock for as long as it works on it, except in the first moment.
      const made = await stat(path).catch(() => null);
      if (made === null || Date.now() - made.mtimeMs < 60_000) continue;
      const lock = await tryLockFile(join(path, "lock")).catch(() => null);
      if (lock === null) continue;
      await discard(path).catch(() => undefined);
      // The lock may be new in it: what stays is as old as it was.
      await utimes(path, made.atime, made.mtime).catch(() => undefined);
      await lock.release();
    }
  }
}

export function notFound(name: string): SandboxNotFoundError {
  return new SandboxNotFoundError(`no sandbox is named ${name}`, {
    hint: 'See "msb ls" for the ones there are.',
  });
}

export function replaced(name: string): SandboxReplacedError {
  return new SandboxReplacedError(`the sandbox named ${name} is another one now`, {
    hint: "Get a new handle with Sandbox.get(name).",
  });
}
