import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Debian's `docker-registry` on a free port of this machine, until it is disposed of. */
export class RegistryServer implements AsyncDisposable {
  readonly #process: ChildProcess;
  /** `127.0.0.1:<port>` */
  readonly host: string;

  private constructor(process: ChildProcess, host: string) {
    this.#process = process;
    this.host = host;
  }

  /** @param settings further lines of the registry's YAML: `http.tls` as `tls`, `auth` */
  static async start(
    directory: string,
    settings: { readonly tls?: string; readonly auth?: string } = {},
  ): Promise<RegistryServer> {
    const data = join(directory, "registry");
    await mkdir(data, { recursive: true });
    const config = [
      "version: 0.1",
      "log: {level: info, formatter: json}",
      `storage: {filesystem: {rootdirectory: ${data}}, delete: {enabled: true}}`,
      "http:",
      "  addr: 127.0.0.1:0",
      ...(settings.tls === undefined ? [] : [`  tls: ${settings.tls}`]),
      ...(settings.auth === undefined ? [] : [`auth: ${settings.auth}`]),
    ].join("\n");
    const configFile = join(directory, "registry.yml");
    await writeFile(configFile, config + "\n");
    const child = spawn("docker-registry", ["serve", configFile], { stdio: ["ignore", "ignore", "pipe"] });
    const lines: string[] = [];
    const port = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) =>
        reject(new Error(`docker-registry ended with ${String(code)}:\n${lines.join("\n")}`)),
      );
      createInterface({ input: child.stderr }).on("line", (line) => {
        lines.push(line);
        const found = /listening on 127\.0\.0\.1:(\d+)/.exec(line);
        if (found?.[1] !== undefined) resolve(found[1]);
      });
    });
    return new RegistryServer(child, `127.0.0.1:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
