import { readFile } from "node:fs/promises";
import { text as streamText } from "node:stream/consumers";
import { ioError } from "../../../host/system-error.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { err } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";

export const sshAuthorize = defineCommand({
  name: "authorize",
  parent: "ssh",
  summary: "Let a public key into all sandboxes that are served by SSH",
  details:
    "It is added to ssh/authorized_keys in the home of microsandbox; remove its line there to take it back. Servers that run look again for each client.",
  examples: ["msb ssh authorize --file ~/.ssh/id_ed25519.pub", "ssh-add -L | msb ssh authorize --stdin"],
  options: {
    file: value({
      placeholder: "FILE",
      description: "File with public keys",
      parse: filled("a file"),
      conflicts: ["key", "stdin"],
    }),
    key: value({
      placeholder: "KEY",
      description: "The key itself: 'ssh-ed25519 AAAA…'",
      parse: filled("a key"),
      conflicts: ["stdin"],
    }),
    stdin: flag({ description: "Read public keys from standard input" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options: { file, key, stdin, quiet } }) => {
    if (file === undefined && key === undefined && stdin !== true)
      throw new UsageError(
        "one of --file, --key and --stdin is expected.",
        "For example: msb ssh authorize --file ~/.ssh/id_ed25519.pub",
      );
    const keys = key ?? (file === undefined ? await streamText(process.stdin) : await readKeys(file));
    const { authorize } = await import("../../../api/ssh/msb-ssh.ts");
    const added = await authorize(keys);
    if (quiet !== true)
      err(added === 0 ? "Authorized already.\n" : `Authorized ${added === 1 ? "1 key" : `${added} keys`}.\n`);
    return 0;
  },
});

async function readKeys(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    throw ioError(`read ${path}`, error);
  });
}
