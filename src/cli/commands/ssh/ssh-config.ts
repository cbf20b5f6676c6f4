import { defineCommand } from "../../grammar/command.ts";
import { out } from "../../output/streams.ts";
import { userOption } from "./ssh-options.ts";

export const sshConfig = defineCommand({
  name: "config",
  parent: "ssh",
  summary: "Print what OpenSSH has to know to reach a sandbox as msb-NAME",
  details:
    "A block for ~/.ssh/config. It has ssh start msb ssh serve --stdio for each connection, so nothing has to listen, and it names the file by which ssh knows the sandbox. Everything that uses ssh then works with msb-NAME: scp, sftp, rsync, git, VS Code, Ansible.",
  examples: [
    "msb ssh config demo >> ~/.ssh/config",
    "msb ssh config demo > demo.conf; ssh -F demo.conf msb-demo",
  ],
  operands: [{ name: "NAME", required: true, completes: "sandbox" }],
  options: { user: userOption },
  run: async ({ options, operands: [name = ""] }) => {
    const { clientConfig } = await import("../../../api/ssh/msb-ssh.ts");
    const program = process.argv[1];
    const msb = [process.execPath, ...(program === undefined ? [] : [program])];
    out(await clientConfig(name, options.user ?? "root", msb));
    return 0;
  },
});
