import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { supervisorProgram } from "../../../src/host/package-files.ts";
import { shareTemplates } from "../support.ts";

/** As the supervisors of this process: built, or the sources themselves. */
const msb = supervisorProgram().endsWith(".js") ? "dist/cli/main.js" : "src/cli/main.ts";
export const msbProgram = join(import.meta.dirname, "../../..", msb);

export interface Result {
  /** 128 and the signal's number are what a shell would show; here a signal leaves null. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly result: Promise<Result>;
  /** Resolve when the text was written; reject when the command ended before it was. */
  stdoutHas(text: string): Promise<void>;
  stderrHas(text: string): Promise<void>;
}

/** A state directory of its own, in which the tests of one file run `msb`. */
export class MsbHome implements AsyncDisposable {
  readonly path: string;
  readonly environment: NodeJS.ProcessEnv;

  /**
   * @param options.ownTemplates as of `useTemporaryHome`
   * @param options.path one that there is; its maker removes it
   */
  constructor({ ownTemplates = false, path }: { ownTemplates?: boolean; path?: string } = {}) {
    this.path = path ?? mkdtempSync(join(tmpdir(), "msb-test-"));
    const { NODE_TEST_CONTEXT: _context, NO_COLOR: _color, FORCE_COLOR: _force, ...rest } = process.env;
    if (!ownTemplates && path === undefined) shareTemplates(this.path);
    this.environment = { ...rest, MSB_HOME: this.path, MSB_ACCEL: "tcg" };
  }

  /** Starts `msb` with pipes; stdin is given at once, or stays open when it is null. */
  start(args: readonly string[], stdin: string | null = ""): Started {
    const started = this.#run(args, "pipe");
    // A command may end without reading what it was sent.
    started.child.stdin?.on("error", () => undefined);
    if (stdin !== null) started.child.stdin?.end(stdin);
    return started;
  }

  #run(args: readonly string[], stdin: "pipe" | number): Started {
    const child: ChildProcess = spawn(process.execPath, [msbProgram, ...args], {
      env: this.environment,
      stdio: [stdin, "pipe", "pipe"],
      timeout: 300_000,
      killSignal: "SIGKILL",
    });
    const output = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    const result = new Promise<Result>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        resolve({ code, signal, ...output });
      });
    });
    const has = (name: "stdout" | "stderr", text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output[name].includes(text)) resolve();
        };
        look();
        child[name]?.on("data", look);
        void result.then(({ code, stderr }) => {
          reject(new Error(`ended with ${String(code)} before it wrote ${JSON.stringify(text)}: ${stderr}`));
        }, reject);
      });
    return {
      child,
      result,
      stdoutHas: (text) => has("stdout", text),
      stderrHas: (text) => has("stderr", text),
    };
  }

  msb(...args: string[]): Promise<Result> {
    return this.start(args).result;
  }

  /** Runs `msb` with a file of this host as its stdin. */
  async reading(path: string, ...args: string[]): Promise<Result> {
    const file = await open(path);
    try {
      return await this.#run(args, file.fd).result;
    } finally {
      await file.close();
    }
  }

  /** What `msb ls -q` prints. */
  async names(): Promise<string[]> {
    return (await this.msb("ls", "-q")).stdout.split("\n").filter((name) => name !== "");
  }

  /** The statuses of the sandboxes, as JSON has them. */
  async statuses(): Promise<Record<string, string>> {
    const { code, stdout, stderr } = await this.msb("ls", "--format", "json");
    if (code !== 0) throw new Error(`msb ls ended with ${String(code)}: ${stderr}`);
    const list = JSON.parse(stdout) as { name: string; status: string }[];
    return Object.fromEntries(list.map(({ name, status }) => [name, status]));
  }

  /** Asks again and again until the answer is wanted: for what has no event to wait for. */
  async until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean, deadlineMs = 120_000): Promise<T> {
    const deadline = Date.now() + deadlineMs;
    for (;;) {
      const answer = await ask();
      if (wanted(answer)) return answer;
      if (Date.now() > deadline)
        throw new Error(`waited too long; the last answer is ${JSON.stringify(answer)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const names = await this.names();
    if (names.length > 0) await this.msb("rm", "-f", ...names);
    rmSync(this.path, { recursive: true, force: true });
  }
}
