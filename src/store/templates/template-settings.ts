import { InvalidConfigError } from "../../errors/index.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";

/** Room for some hundred templates of small guests, whose memory is mostly holes. */
const defaultMaxSizeMib = 10 * 1024;
const bytesPerMib = 1024 * 1024;

const words: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  "1": true,
  off: false,
  false: false,
  "0": false,
};

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
  const asked = meaningOf(environment["MSB_TEMPLATES"]);
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

/** @returns null when nothing is said */
function meaningOf(asked: string | undefined): boolean | null {
  if (asked === undefined || asked === "") return null;
  const meant = Object.hasOwn(words, asked) ? words[asked] : undefined;
  if (meant !== undefined) return meant;
  throw new InvalidConfigError(`MSB_TEMPLATES is ${JSON.stringify(asked)}`, {
    hint: "Set it to on or off, or unset it.",
  });
}

/** How much disk all templates together may take. */
export function templateLimitBytes(config: GlobalConfig): number {
  return (config.templates?.max_size_mib ?? defaultMaxSizeMib) * bytesPerMib;
}
