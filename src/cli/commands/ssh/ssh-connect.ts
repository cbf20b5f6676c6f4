import type { SshCommand } from "../../../api/index.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { checkStdin, isInteractive } from "../../guest-command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { err, writeAll } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled, text } from "../../values/simple.ts";
import { inactivitySecs, sessionOptions, userOption } from "./ssh-options.ts";

export const sshConnect = defineCommand({
  name: "connect",
  parent: "ssh",
  summary: "Open a shell in a running sandbox, or run a command line in its shell",
  details: `The session is one of SSH, with the client and the server in this process: it needs no port and no keys. It begins in the user's home directory. What follows -- is one line for the sandbox's shell, as with ssh. The exit code is the command's. msb ssh NAME is the same; for a sandbox that is called as one of the other commands: msb ssh --name NAME.`,
  examples: ["msb ssh demo", "msb ssh demo -- 'uname -a; id'", "tar c src | msb ssh demo -- tar x -C /srv"],
  operands: [{ name: "NAME", required: false, completes: "sandbox" }],
  guestCommand: true,
  options: {
    name: value({
      placeholder: "NAME",
      description: "The sandbox, whatever it is called",
      parse: filled("a name"),
      completes: ["sandbox", ""],
    }),
    user: userOption,
    tty: flag({
      short: "t",
      description: "Run the command on a terminal (the default without a command, on a terminal)",
      negation: "Run it without a terminal",
    }),
    detachKeys: value({
      placeholder: "KEYS",
      description: "Keys that leave the shell running (ctrl-]); several: ctrl-p,ctrl-q",
      parse: text,
    }),
    ...sessionOptions,
  },
  run: async ({ options, operands, guestCommand }) => {
    const name = options.name ?? operands[0];
    if (name === undefined || (options.name !== undefined && operands.length > 0))
      throw new UsageError("one sandbox is expected.", "For example: msb ssh demo");
    const line = guestCommand === null || guestCommand.length === 0 ? null : guestCommand.join(" ");
    checkStdin(options.tty === true && line !== null);
    const { Sandbox } = await import("../../../api/index.ts");
    await using sandbox = await (await Sandbox.get(name)).connect();
    await using client = await sandbox.ssh().openClient({
      ...(options.user === undefined ? {} : { user: options.user }),
      ...inactivitySecs(options.inactivityTimeout),
    });
    const tty = options.tty ?? (line === null && isInteractive());
    if (line === null && tty) {
      const { detachKeys } = options;
      using _interruption = onInterruption(() => client.close());
      const code = await client.attach(detachKeys === undefined ? {} : { detachKeys });
      if (code >= 0) return code;
      err(`\r\nDetached: the shell keeps running in ${name}.\n`);
      return 0;
    }
    return await stream(await client.start(line, { tty }));
  },
});

/** Passes on standard input, both outputs and signals. @returns the exit code */
async function stream(command: SshCommand): Promise<number> {
  const stdin = command.takeStdin();
  const forward = async (): Promise<void> => {
    for await (const chunk of process.stdin) await stdin.write(chunk as Uint8Array);
    await stdin.close();
  };
  const ended = Promise.withResolvers<number>();
  ended.promise.catch(() => undefined);
  using _interruption = onInterruption(async (reason) => {
    await command.signal(reason.kind === "signal" ? reason.number : 9);
    return await ended.promise;
  });
  void forward().catch(() => command.abandon());
  try {
    for await (const event of command) {
      if (event.kind === "stdout") await writeAll(process.stdout, event.data);
      else if (event.kind === "stderr") await writeAll(process.stderr, event.data);
      else ended.resolve(event.code);
    }
  } catch (error) {
    ended.reject(error);
  }
  return await ended.promise;
}
