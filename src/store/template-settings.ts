import { InvalidConfigError } from "../errors/index.ts";
import type { GlobalConfig } from "./global-config.ts";

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

/**
 * Whether sandboxes may start from templates: `MSB_TEMPLATES` decides, else `config.json`. Without any room for templates
 * they are off.
 *
 * @throws InvalidConfigError when `MSB_TEMPLATES` is neither on nor off
 */
export function templatesEnabled(environment: NodeJS.ProcessEnv, config: GlobalConfig): boolean {
  const asked = environment["MSB_TEMPLATES"];
  let enabled = config.templates?.enabled ?? true;
  if (asked !== undefined && asked !== "") {
    const meant = Object.hasOwn(words, asked) ? words[asked] : undefined;
    if (meant === undefined) {
      throw new InvalidConfigError(`MSB_TEMPLATES is ${JSON.stringify(asked)}`, {
        hint: "Set it to on or off, or unset it.",
      });
    }
    enabled = meant;
  }
  return enabled && templateLimitBytes(config) > 0;
}

/** How much disk all templates together may take. */
export function templateLimitBytes(config: GlobalConfig): number {
  return (config.templates?.max_size_mib ?? defaultMaxSizeMib) * bytesPerMib;
}
