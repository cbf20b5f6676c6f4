import { defineCommand, flag } from "../../grammar/command.ts";
import { Progress } from "../../output/progress.ts";

export const registryLogout = defineCommand({
  name: "logout",
  parent: "registry",
  summary: "Forget the login for a registry",
  examples: ["msb registry logout ghcr.io"],
  operands: [{ name: "REGISTRY", required: true }],
  options: { quiet: flag({ short: "q", description: "Print nothing but errors" }) },
  run: async ({ options, operands: [host = ""], logLevel }) => {
    const { logout } = await import("../../../api/images/msb-images.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    progress.done("Logged out", await logout(host));
    return 0;
  },
});
