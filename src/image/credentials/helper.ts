import { spawn, type ChildProcess } from "node:child_process";
import { kill, platform } from "node:process";
import * as v from "valibot";
import { ImageError } from "../../errors/index.ts";
import { isBasicLogin } from "../../config/basic-login.ts";
import type { Credential } from "./credential.ts";

const answerSchema = v.object({ Username: v.string(), Secret: v.string() });
const defaultTimeoutMs = 30_000;
/** Of each of its outputs, in characters. */
const maximumOutput = 1 << 20;

export interface HelperOptions {
  /** How long it may take, in milliseconds: it may be asking the user. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What every helper says when it has nothing (docker-credential-helpers, credentials/error.go). */
const notFound = /credentials not found in native keychain/;

/** The helper for the system's own credential store. */
export function keyringHelper(): string {
  const { platform } = process;
  return platform === "darwin" ? "osxkeychain" : platform === "win32" ? "wincred" : "secretservice";
}

/**
 * Asks the program `docker-credential-<name>` for the credential of a registry, or tells it to store or erase one. Their
 * protocol: the verb as argument, the server or a JSON document on stdin, JSON on stdout.
 *
 * @returns null when the helper has none
 * @throws ImageError when the helper is missing, fails, takes too long, or says what nobody understands; the signal's reason
 */
export async function runHelper(
  name: string,
  server: string,
  environment: NodeJS.ProcessEnv,
  options: HelperOptions = {},
): Promise<Credential | null> {
  const { status, stdout, stderr } = await callHelper(name, "get", server, environment, options);
  if (notFound.test(stdout) || notFound.test(stderr)) return null;
  if (status !== 0) throw helperError(name, `fails for ${server}`, new Error(stderr.trim().slice(0, 500)));
  let answer: v.InferOutput<typeof answerSchema>;
  try {
    answer = v.parse(answerSchema, JSON.parse(stdout));
  } catch {
    // Not the cause: it would quote the answer.
    throw helperError(name, "does not answer as it should", undefined);
  }
  if (answer.Username === "<token>") return { kind: "identityToken", token: answer.Secret };
  if (answer.Username === "" && answer.Secret === "") return null;
  if (!isBasicLogin(answer.Username, answer.Secret)) {
    throw helperError(name, `answers what is no user name and password for ${server}`, undefined);
  }
  return { kind: "basic", username: answer.Username, password: answer.Secret };
}

/** @throws ImageError */
export async function storeWithHelper(
  name: string,
  server: string,
  login: { readonly username: string; readonly password: string },
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const document = JSON.stringify({ ServerURL: server, Username: login.username, Secret: login.password });
  const { status, stdout } = await callHelper(name, "store", document, environment);
  if (status !== 0)
    throw helperError(name, `cannot store the login for ${server}`, new Error(stdout.slice(0, 500)));
}

/** @throws ImageError */
export async function eraseWithHelper(
  name: string,
  server: string,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const { status, stdout } = await callHelper(name, "erase", server, environment);
  if (status !== 0 && !notFound.test(stdout)) {
    throw helperError(name, `cannot forget the login for ${server}`, new Error(stdout.slice(0, 500)));
  }
}

interface HelperResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function callHelper(
  name: string,
  verb: "get" | "store" | "erase",
  input: string,
  environment: NodeJS.ProcessEnv,
  { timeoutMs = defaultTimeoutMs, signal }: HelperOptions = {},
): Promise<HelperResult> {
  signal?.throwIfAborted();
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new ImageError(`${JSON.stringify(name)} is no name of a credential helper`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<HelperResult>();
  const child = spawn(`docker-credential-${name}`, [verb], {
    env: environment,
    stdio: ["pipe", "pipe", "pipe"],
    // With a process group of its own, which can be ended as a whole: helpers are often scripts.
    detached: platform !== "win32",
  });
  const giveUp = (error: Error): void => {
    reject(error);
    endGroup(child);
    // Whoever is left with the other ends must not keep this process alive, nor be listened to.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  };
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
      if (output[stream].length > maximumOutput) giveUp(helperError(name, "says too much", undefined));
    });
  }
  child.on("error", (error) => reject(helperError(name, "cannot be run", error)));
  child.on("close", (status) => resolve({ status, ...output }));
  // A helper that does not read its input is judged by how it ends.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const late = setTimeout(() => {
    giveUp(helperError(name, `does not answer within ${timeoutMs / 1000} s`, undefined));
  }, timeoutMs);
  const onAbort = (): void => giveUp(signal?.reason as Error);
  signal?.addEventListener("abort", onAbort);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    signal?.removeEventListener("abort", onAbort);
  }
}

function endGroup(child: ChildProcess): void {
  if (platform === "win32" || child.pid === undefined) {
    child.kill("SIGKILL");
    return;
  }
  try {
    kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

function helperError(name: string, problem: string, cause: Error | undefined): ImageError {
  const detail = cause === undefined || cause.message === "" ? "" : `: ${cause.message}`;
  return new ImageError(`the credential helper docker-credential-${name} ${problem}${detail}`, {
    hint: "Install it, or remove it from docker's config.json.",
  });
}
