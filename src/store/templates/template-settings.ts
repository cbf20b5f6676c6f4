import { switchFromEnvironment } from "../../host/process/environment-settings.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";

/** Room for some hundred templates of small guests, whose memory is mostly holes. */
const defaultMaxSizeMib = 10 * 1024;
const bytesPerMib = 1024 * 1024;

/** Why a sandbox has no part in templates, in one clause, and what would change that. */
export interface NoTemplates {
  readonly why: string;
  readonly hint: string;
}

/**
 * Whether a sandbox may start from a template: `MSB_TEMPLATES` decides, else `config.json`, and there must be room for all of
 * its memory.
 *
 * @param memoryMib what it has; 0 for what is so for all sandboxes
 * @returns null when it may
 * @throws InvalidConfigError when `MSB_TEMPLATES` is neither on nor off
 */
export function whyNoTemplates(
  environment: NodeJS.ProcessEnv,
  config: GlobalConfig,
  memoryMib: number,
): NoTemplates | null {
  const asked = switchFromEnvironment("MSB_TEMPLATES", environment);
  if (asked === false) {
    return {
      why: "templates are turned off by MSB_TEMPLATES",
      hint: "Unset MSB_TEMPLATES, or set it to on.",
    };
  }
  if (asked === null && config.templates?.enabled === false) {
    return { why: "templates are turned off in config.json", hint: "Set templates.enabled to true there." };
  }
  const limitMib = templateLimitBytes(config) / bytesPerMib;
  const hint = "Raise templates.max_size_mib in config.json.";
  if (limitMib === 0) return { why: "there is no room for templates (templates.max_size_mib is 0)", hint };
  if (memoryMib <= limitMib) return null;
  return { why: `${memoryMib} MiB of memory is more than templates.max_size_mib (${limitMib})`, hint };
}

/** How much disk all templates together may take. */
export function templateLimitBytes(config: GlobalConfig): number {
  return (config.templates?.max_size_mib ?? defaultMaxSizeMib) * bytesPerMib;
}
