import { locateHome } from "../store/home.ts";
import { KnownSecrets } from "./call/redact.ts";
import { ToolError } from "./call/tool-failure.ts";
import { AllowedPaths } from "./host/allowed-paths.ts";
import type { McpSettings } from "./mcp-settings.ts";
import { ExecSessions } from "./state/exec-sessions.ts";
import { KeptOutputs } from "./state/kept-outputs.ts";
import { OwnedSandboxes } from "./state/owned-sandboxes.ts";

/** What one server has, whatever connections come and go: its rules, and what it has to clear away. */
export class Workbench implements AsyncDisposable {
  readonly settings: McpSettings;
  readonly paths: AllowedPaths;
  readonly secrets = new KnownSecrets();
  readonly sandboxes: OwnedSandboxes;
  readonly outputs: KeptOutputs;
  readonly sessions: ExecSessions;

  constructor(settings: McpSettings) {
    this.settings = settings;
    this.paths = new AllowedPaths(settings.hostPaths, locateHome().root);
    this.sandboxes = new OwnedSandboxes(this.paths);
    this.outputs = new KeptOutputs(settings.sessionTtlMs);
    this.sessions = new ExecSessions(settings.sessionTtlMs);
  }

  /** @throws ToolError unless whoever runs the server allows what reaches further */
  requireDangerous(what: string): void {
    if (this.settings.dangerous) return;
    throw new ToolError(
      "dangerous_operation_disabled",
      `${what} is not allowed`,
      "Leave it out; whoever runs the server allows it by MICROSANDBOX_MCP_ENABLE_DANGEROUS=1.",
    );
  }

  /** Ends all that ends with the server. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sessions.closeAll();
    this.outputs.clear();
    await this.sandboxes.close();
  }
}

/** @throws ToolError unless it was confirmed */
export function requireConfirmation(confirm: boolean | undefined, what: string): void {
  if (confirm === true) return;
  throw new ToolError("confirmation_required", `${what} has to be confirmed`, "Set confirm to true.");
}
