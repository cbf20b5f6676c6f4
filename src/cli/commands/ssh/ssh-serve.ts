import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";
import { inactivitySecs, sessionOptions, userOption } from "./ssh-options.ts";

const defaultPort = 2222;

export const sshServe = defineCommand({
  name: "serve",
  parent: "ssh",
  summary: "Serve SSH for a running sandbox, until the sandbox or this command ends",
  details: `On a port of this computer, on a Unix socket, or, with --stdio, for one client on standard input and output: that is what the block of msb ssh config has OpenSSH start. Only keys come in that were given to msb ssh authorize. A client that says ssh alice@… is the guest's alice, unless --user says who all are.`,
  examples: ["msb ssh serve demo", "msb ssh serve --port 0 demo", "msb ssh serve --stdio demo"],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: {
    host: value({
      placeholder: "ADDRESS",
      description: "Address to listen on (127.0.0.1, which only this computer reaches)",
      parse: filled("an address"),
      conflicts: ["stdio", "socket"],
    }),
    port: value({
      placeholder: "PORT",
      description: `Port to listen on (${defaultPort}); 0: any that is free`,
      parse: parsePort,
      conflicts: ["stdio", "socket"],
    }),
    socket: value({
      placeholder: "PATH",
      description: "Unix socket to listen on, for this user only",
      parse: filled("a path"),
      conflicts: ["stdio"],
    }),
    stdio: flag({ description: "Serve one client on standard input and output" }),
    user: userOption,
    sftp: flag({ description: "Serve SFTP (the default)", negation: "Serve no SFTP" }),
    ...sessionOptions,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [name = ""] }) => {
    if (options.stdio === true && process.stdin.isTTY)
      throw new UsageError(
        "--stdio is for a client of SSH, not for a terminal",
        `Open a shell: msb ssh ${name}`,
      );
    const { Sandbox } = await import("../../../api/index.ts");
    await using sandbox = await (await Sandbox.get(name)).connect();
    await using server = await sandbox.ssh().prepareServer({
      sftp: options.sftp ?? true,
      ...(options.user === undefined ? {} : { user: options.user }),
      ...inactivitySecs(options.inactivityTimeout),
    });
    // What its clients have started ends before it does.
    using _interruption = onInterruption(() => server.close());
    if (options.stdio === true) {
      await server.serveConnection();
      return 0;
    }
    const place =
      options.socket === undefined
        ? shown(await server.listen({ host: options.host ?? "127.0.0.1", port: options.port ?? defaultPort }))
        : (await server.listen({ path: options.socket })).path;
    if (options.quiet !== true) err(`Serving SSH for ${name} on ${place}\n`);
    await server.over;
    return 0;
  },
});

function shown({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`"${text}" is no port.`, "Ports are 0 to 65535; 0 is any that is free");
}
