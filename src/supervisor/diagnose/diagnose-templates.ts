import { listTemplates, type ListedTemplate } from "../../store/templates/template-eviction.ts";
import {
  templateLimitBytes,
  whyNoTemplates,
  type NoTemplates,
} from "../../store/templates/template-settings.ts";
import { verifyTemplate } from "../../store/templates/template-hashes.ts";
import type { GlobalConfig } from "../../config/global/global-config.ts";
import type { Home } from "../../store/home.ts";
import type { Finding } from "./finding.ts";

const bytesPerMib = 1024 * 1024;
const pruneHint = 'Remove all with "msb template prune": they are made again when they are needed.';

/**
 * How many templates there are, how large they are, and whether their contents are still what was saved. Reads all of them.
 *
 * @throws InvalidConfigError, IoError
 */
export async function inspectTemplates(
  home: Home,
  config: GlobalConfig,
): Promise<Pick<Finding, "status" | "detail" | "fix">> {
  const barred = whyNoTemplates(process.env, config, 0);
  const templates = await listTemplates(home);
  const unusable = templates.filter(({ record }) => typeof record?.unusable === "string");
  const stored = templates.filter((template) => !unusable.includes(template));
  const lines: string[] = [];
  let damaged = 0;
  let unchecked = 0;
  for (const template of stored) {
    const { status, detail } = await verifyTemplate(home, template.key);
    if (status === "damaged") {
      damaged += 1;
      lines.push(`${template.key.slice(0, 12)} is damaged: ${detail}`);
    } else if (status === "unchecked") {
      unchecked += 1;
      lines.push(`${template.key.slice(0, 12)} was not checked: ${detail}`);
    }
  }
  const verified = stored.length - damaged - unchecked;
  for (const { key, record } of unusable) {
    lines.push(`${key.slice(0, 12)} cannot be made here: ${record?.unusable ?? ""}`);
  }
  const warn = damaged + unusable.length > 0;
  const status = warn ? "warning" : verified > 0 ? "ok" : "info";
  const checked =
    verified > 0 ? `; contents of ${verified === stored.length ? "all" : verified} verified` : "";
  const first = summary(stored, barred, templateLimitBytes(config)) + checked;
  return { status, detail: [first, ...lines].join("\n"), fix: warn ? pruneHint : "" };
}

function summary(stored: readonly ListedTemplate[], barred: NoTemplates | null, limitBytes: number): string {
  const mib = (bytes: number): string => `${Math.ceil(bytes / bytesPerMib)} MiB`;
  const size = stored.reduce((sum, { diskBytes }) => sum + diskBytes, 0);
  const what = `${stored.length} ${stored.length === 1 ? "template" : "templates"}, ${mib(size)}`;
  if (barred !== null)
    return `off: every sandbox boots, because ${barred.why}${stored.length === 0 ? "" : `; ${what} left`}`;
  if (stored.length === 0) return "none yet: the first sandbox of a shape makes one";
  return `${what} of at most ${mib(limitBytes)}`;
}
