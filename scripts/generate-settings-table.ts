/** Writes the table of settings in docs/configuration.md. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { format } from "prettier";
import type { AnySetting } from "../src/config/settings/setting.ts";
import { settersOf, settingEntries } from "../src/config/settings/table.ts";
import { longName } from "../src/cli/grammar/command.ts";
import { showValue } from "../src/cli/values/setting-value.ts";
import { writeFileAtomically } from "../src/host/files/atomic-file.ts";

export const settingsPage = join(import.meta.dirname, "../docs/configuration.md");
const markers = { begin: "<!-- settings: npm run generate:docs -->", end: "<!-- end of settings -->" };

/** @returns the page with its table as `src/config/settings` has it */
export async function withSettingsTable(page: string): Promise<string> {
  const begin = page.indexOf(markers.begin);
  const end = page.indexOf(markers.end);
  if (begin === -1 || end < begin) throw new Error("docs/configuration.md has lost the marks of its table");
  const table = [
    row(["Setting", "Builder", "`msb`", "Values", "Default", "Later change", "Meaning"]),
    row(Array.from({ length: 7 }, () => "---")),
    ...settingEntries.map(([key, setting]) => settingRow(key, setting)),
  ];
  const rest = page.slice(begin + markers.begin.length);
  const made = `${page.slice(0, begin)}${markers.begin}\n\n${table.join("\n")}\n\n${rest.slice(rest.indexOf(markers.end))}`;
  return await format(made, { parser: "markdown", printWidth: 130, proseWrap: "preserve" });
}

function settingRow(key: string, setting: AnySetting): string {
  const { cli, type, change, meaning } = setting;
  return row([
    `\`${key}\``,
    settersOf(key, setting)
      .map((setter) => `\`${setter}()\``)
      .join(", "),
    cli === undefined ? "" : `\`--${longName(cli.flag)}\``,
    type.values,
    defaultText(setting),
    change,
    meaning,
  ]);
}

function defaultText({ type, default: builtIn, otherwise, image, global }: AnySetting): string {
  const simple = builtIn !== null && type.form.kind !== "structure";
  const shown = type.form.kind === "flag" ? String(builtIn) : simple ? showValue(type.form, builtIn) : "";
  const own = shown === "" ? (otherwise ?? "none") : `\`${shown}\``;
  const sources = [
    ...(global === undefined ? [] : [`\`${global}\``]),
    ...(image === undefined ? [] : ["the image's"]),
  ];
  return [...sources, own].join(", else ");
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main)
  await writeFileAtomically(settingsPage, await withSettingsTable(await readFile(settingsPage, "utf8")));
