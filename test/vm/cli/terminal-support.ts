import { spawn, type IPty } from "@lydell/node-pty";
import { msbProgram } from "./cli-support.ts";

/** Some answers come after a boot: as long as that may take. */
const answerMs = 180_000;

/** A terminal in which a script of the host runs, and what it showed. */
export class Terminal implements Disposable {
  readonly #pty: IPty;
  #shown = "";
  #read = 0;
  #ended = false;
  #changed = Promise.withResolvers<undefined>();

  constructor(script: string, environment: NodeJS.ProcessEnv, size = { cols: 100, rows: 30 }) {
    const env = { ...environment, NODE: process.execPath, MSB: msbProgram };
    this.#pty = spawn("/bin/sh", ["-c", script], { name: "xterm", ...size, env });
    this.#pty.onData((text) => {
      this.#shown += text;
      this.#wake();
    });
    this.#pty.onExit(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Everything it showed so far. */
  get shown(): string {
    return this.#shown;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(cols: number, rows: number): void {
    this.#pty.resize(cols, rows);
  }

  /** Waits until the pattern was shown after what was waited for before. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + answerMs;
    for (;;) {
      // Two terminals are in between, the guest's and this one, and either may put a carriage return before a newline.
      const shown = this.#shown.replaceAll(/\r+\n/g, "\n");
      const match = pattern.exec(shown.slice(this.#read));
      if (match !== null) {
        this.#read += match.index + match[0].length;
        return match;
      }
      const left = deadline - Date.now();
      if (this.#ended || left <= 0) {
        throw new Error(`${String(pattern)} was not shown, but ${JSON.stringify(shown.slice(-1000))}`);
      }
      await Promise.race([
        this.#changed.promise,
        new Promise((resolve) => setTimeout(resolve, left).unref()),
      ]);
    }
  }

  /** Waits until the script has ended. */
  async ends(): Promise<void> {
    const deadline = Date.now() + answerMs;
    while (!this.#ended) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`it does not end: ${JSON.stringify(this.#shown.slice(-1000))}`);
      await Promise.race([
        this.#changed.promise,
        new Promise((resolve) => setTimeout(resolve, left).unref()),
      ]);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#ended) this.#pty.kill("SIGKILL");
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<undefined>();
    changed.resolve(undefined);
  }
}
