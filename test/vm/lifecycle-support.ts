import { spawn, type ChildProcess } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { identifyProcess } from "../../src/host/process/process-identity.ts";
import { eventually } from "./support.ts";

const api = pathToFileURL(new URL("../../src/index.ts", import.meta.url).pathname).href;

/** A boot takes 5 s on a slow host that has nothing else to do, 20 s on a busy one, and a test has several. ms. */
export const timeout = 600_000;

/** Smallest machine the guest is comfortable in, MiB. */
export const smallMemory = 128;

/** The sandbox's image, memory and name as the source of a builder, for programs of {@link runProgram}. */
export function builderSource(name: string): string {
  return `Sandbox.builder(${JSON.stringify(name)}).image("localhost/base").memory(${smallMemory})`;
}

/** Another Node.js process that uses the SDK. */
export class Program {
  readonly pid: number;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #stderr = "";

  constructor(child: ChildProcess) {
    if (child.pid === undefined || child.stdout === null) throw new Error("the program did not start");
    this.pid = child.pid;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr?.on("data", (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        resolve({ code, signal, stderr: this.#stderr });
      });
    });
  }

  /** The next line of its standard output. Fails when the program ends before. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) {
      const { code, signal, stderr } = await this.ended;
      throw new Error(`the program ended without a word (${code ?? signal ?? ""}): ${stderr}`);
    }
    return next.value;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/**
 * Runs a program beside the test, killed at the test's end if it is still there.
 *
 * @param source JavaScript; `Sandbox` is imported already, `say(value)` prints a line
 */
export function runProgram(t: TestContext, source: string): Program {
  const whole = `
    import { Sandbox } from ${JSON.stringify(api)};
    const say = (value) => console.log(typeof value === "string" ? value : JSON.stringify(value));
    ${source}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", whole], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  const program = new Program(child);
  t.after(() => program.kill());
  return program;
}

export interface SandboxProcess {
  readonly pid: number;
  readonly kind: "supervisor" | "qemu";
}

/** The processes of a home, those that make templates too, or those of one sandbox, as /proc shows them. */
export async function processesOf(home: string, name = ""): Promise<SandboxProcess[]> {
  const directory = name === "" ? `${home}/` : `${home}/sandboxes/${name}/`;
  const found: SandboxProcess[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const { argv, environment } = await wordsOf(pid);
    if (argv[0]?.includes("qemu-system") === true && argv.some((word) => word.includes(directory))) {
      found.push({ pid, kind: "qemu" });
    } else if (isSupervisor(argv, name) && environment.includes(`MSB_HOME=${home}`)) {
      found.push({ pid, kind: "supervisor" });
    }
  }
  return found;
}

interface Words {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}

/** What processes were begun with. One on its way out has no words any more, and is there nevertheless. */
const known = new Map<number, Words & { readonly started: string }>();

/** Without any for one that is gone, or has ended. */
async function wordsOf(pid: number): Promise<Words> {
  const read = async (file: string): Promise<string[]> =>
    (await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""))
      .split("\0")
      .filter((word) => word !== "");
  const argv = await read("cmdline");
  const before = known.get(pid);
  const isOurs = /\/supervisor\/main\.[jt]s\0|qemu-system/.test(`${argv.join("\0")}\0`);
  if (argv.length > 0 && !isOurs) return { argv, environment: [] };
  const environment = isOurs ? await read("environ") : [];
  const isLeaving = environment.length === 0;
  if (isLeaving && before === undefined) return { argv, environment };
  const started = (await identifyProcess(pid))?.started;
  if (isLeaving) return before?.started === started && before !== undefined ? before : { argv, environment };
  if (started !== undefined) known.set(pid, { argv, environment, started });
  return { argv, environment };
}

/** @param argv Node, its options, the program, whose it is */
function isSupervisor(argv: readonly string[], name: string): boolean {
  const [program, whose] = argv.slice(1).filter((word) => !word.startsWith("--"));
  return (
    program !== undefined && /\/supervisor\/main\.[jt]s$/.test(program) && (name === "" || whose === name)
  );
}

/** Waits until no process of the sandbox is left. */
export async function processesGone(home: string, name = ""): Promise<void> {
  let left: SandboxProcess[] = [];
  try {
    await eventually("all processes to end", async () => {
      left = await processesOf(home, name);
      return left.length === 0 ? true : null;
    });
  } catch (error) {
    throw new Error(`left behind: ${JSON.stringify(left)}`, { cause: error });
  }
}

export async function processOf(home: string, name: string, kind: SandboxProcess["kind"]): Promise<number> {
  const found = (await processesOf(home, name)).filter((one) => one.kind === kind);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`sandbox ${name} has ${found.length} processes of the kind ${kind}`);
  }
  return found[0].pid;
}

/** Changes the environment while `action` runs. undefined unsets. */
export async function withEnvironment<T>(changes: NodeJS.ProcessEnv, action: () => Promise<T>): Promise<T> {
  const before = Object.keys(changes).map((key) => [key, process.env[key]] as const);
  const apply = (pairs: Iterable<readonly [string, string | undefined]>): void => {
    for (const [key, value] of pairs) {
      if (value === undefined) Reflect.deleteProperty(process.env, key);
      else process.env[key] = value;
    }
  };
  apply(Object.entries(changes));
  try {
    return await action();
  } finally {
    apply(before);
  }
}
