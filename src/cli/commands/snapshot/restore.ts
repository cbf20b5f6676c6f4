import { MicrosandboxError } from "../../../errors/index.ts";
import { askedValues } from "../../ask-secrets.ts";
import { creationOptions, generatedName } from "../../create-options.ts";
import { defineCommand, flag } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { out } from "../../output/streams.ts";

const { name, cpus, memory, port, env, label, user, maxDuration, idleTimeout, replace } = creationOptions;

export const restore = defineCommand({
  name: "restore",
  summary: "Make a sandbox that goes on where a snapshot with memory was taken, and leave it running",
  details:
    "SNAPSHOT is a name, a path with a slash, or a digest. Its programs go on; its settings are those of the captured sandbox but for what is given here, and its ports are published only if they are given. The values of its secrets are taken from the environment variables of their names; on a terminal they are asked for. One without memory boots. The name is printed when it was generated.",
  examples: [
    "msb snapshot create warm --from demo --full",
    "msb restore warm -n again -p 8081:80",
    "msb restore warm -n fresh --disk-only",
  ],
  operands: [{ name: "SNAPSHOT", required: true, completes: "snapshot" }],
  options: {
    ...{ name, port, env, label, user, maxDuration, idleTimeout, replace },
    cpus: { ...cpus, description: "Virtual CPUs: as many as it had, unless it boots" },
    memory: { ...memory, description: "Memory: as much as it had, unless it boots" },
    diskOnly: flag({ description: "Boot from the disk of the snapshot, without its memory" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [reference = ""], logLevel }) => {
    const sandboxName = options.name ?? generatedName();
    const { Sandbox, Snapshot } = await import("../../../api/index.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const snapshot = await Snapshot.open(reference);
    const secrets = snapshot.memory?.secrets ?? [];
    const builder = Sandbox.restore(snapshot)
      .name(sandboxName)
      .diskOnly(options.diskOnly ?? false)
      .secrets(await askedValues(secrets, sandboxName, progress));
    if (options.cpus !== undefined) builder.cpus(options.cpus);
    if (options.memory !== undefined) builder.memory(options.memory);
    if (options.user !== undefined) builder.user(options.user);
    if (options.maxDuration !== undefined) builder.maxDuration(options.maxDuration);
    if (options.idleTimeout !== undefined) builder.idleTimeout(options.idleTimeout);
    if (options.replace === true) builder.replace();
    if (logLevel !== null) builder.logLevel(logLevel);
    for (const [key, text] of options.env) builder.env(key, text);
    for (const [key, text] of options.label) builder.label(key, text);
    for (const { hostBind, hostPort, guestPort, protocol, proxyProtocol } of options.port) {
      if (protocol === "udp") builder.portUdpBind(hostBind, hostPort, guestPort);
      else builder.portBind(hostBind, hostPort, guestPort, { proxyProtocol });
    }
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Restoring ${sandboxName}`);
    try {
      await builder.restore({ signal: abort.signal });
    } catch (error) {
      if (error instanceof MicrosandboxError) progress.failed("Restored", sandboxName);
      throw error;
    }
    progress.done("Restored", sandboxName);
    if (options.name === undefined) out(`${sandboxName}\n`);
    return 0;
  },
});
