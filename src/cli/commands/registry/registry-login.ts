import { readHidden, readLineFromPipe } from "../../ask.ts";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";
import { registryOptions } from "../image/image-pull.ts";

export const registryLogin = defineCommand({
  name: "login",
  parent: "registry",
  summary: "Log in to a registry for later pulls",
  details:
    "The registry is asked whether it accepts the login. The password is then kept in the credential store of the system (through docker's helper for it), or in a file that only this user can read where there is none.",
  examples: [
    "msb registry login -u me ghcr.io",
    "cat token | msb registry login -u me --password-stdin registry.example.com:5000",
  ],
  operands: [{ name: "REGISTRY", required: true }],
  options: {
    username: value({
      short: "u",
      placeholder: "NAME",
      description: "User name (required)",
      parse: filled("a name"),
    }),
    passwordStdin: flag({ description: "Read the password from stdin instead of asking for it" }),
    ...registryOptions,
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [host = ""], logLevel }) => {
    const { username, insecure, caCerts } = options;
    if (username === undefined) throw new UsageError("the user name is missing.", "Give it with --username");
    if (options.passwordStdin !== true && !process.stdin.isTTY) {
      throw new UsageError(
        "there is no terminal to ask for the password on.",
        "Pipe it in with --password-stdin",
      );
    }
    const password =
      options.passwordStdin === true
        ? await readLineFromPipe()
        : await readHidden(`Password of ${username}: `);
    if (password === "") throw new UsageError("the password is empty.");
    const { login } = await import("../../../api/images/msb-images.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    using _interruption = onInterruption(() => {
      abort.abort();
    });
    using _spinner = progress;
    await progress.start(`Logging in to ${host}`);
    const { registry, source } = await login(host, { username, password, insecure, caCerts }, abort.signal);
    progress.done("Logged in", registry);
    if (source === "file") {
      progress.notice(
        "The password is in a file that only you can read: this system has no credential store.",
      );
    }
    return 0;
  },
});
