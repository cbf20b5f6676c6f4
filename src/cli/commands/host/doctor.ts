import { defineCommand } from "../../grammar/command.ts";
import { json } from "../../output/format.ts";
import { joined, style, styled, type Format, type Styled } from "../../output/style.ts";
import { out } from "../../output/streams.ts";
import { formatOption } from "../sandbox/list.ts";

type RowStatus = "ok" | "warning" | "problem" | "info";

export interface DoctorRow {
  readonly name: string;
  readonly status: RowStatus;
  readonly detail: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly fix: string;
}

export const doctor = defineCommand({
  name: "doctor",
  aliases: ["check"],
  summary: "Check whether sandboxes can run on this computer, and say what to do if not",
  details:
    "Looks at QEMU, the accelerator, the guest's kernel and agent, the state directory, limits and settings, the network and pings of guests, and what jobs, events, SSH, MCP and the dashboard need. Exits with 1 when something keeps sandboxes from running.",
  examples: ["msb doctor", "msb doctor --format json"],
  options: { format: formatOption },
  run: async ({ options }) => {
    const { diagnose } = await import("../../../api/index.ts");
    const rows = (await diagnose()).map((row) => ({
      name: row.name,
      status: row.status,
      detail: row.detail,
      fix: row.fix,
    }));
    const healthy = rows.every((row) => row.status !== "problem");
    out(options.format === "json" ? json({ healthy, checks: rows }) : renderRows(rows, healthy));
    return healthy ? 0 : 1;
  },
});

const marks: Readonly<Record<RowStatus, readonly [mark: string, format: Format]>> = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  problem: ["✗", "red"],
  info: ["·", "dim"],
};

/** One line for each check, its fix below it, and the verdict. */
export function renderRows(rows: readonly DoctorRow[], healthy: boolean): Styled {
  const width = Math.max(0, ...rows.map((row) => row.name.length));
  const lines = rows.flatMap((row) => {
    const [mark, format] = marks[row.status];
    const [first = "", ...more] = row.detail.split("\n");
    const indent = " ".repeat(width + 7);
    const fix =
      row.status !== "ok" && row.fix !== "" ? [style("dim", `${indent}→ ${row.fix}`, process.stdout)] : [];
    return [
      styled`   ${style(format, mark, process.stdout)} ${`${row.name.padEnd(width)}  ${first}`.trimEnd()}`,
      ...more.map((line) => `${indent}${line}`),
      ...fix,
    ];
  });
  const problems = rows.filter((row) => row.status === "problem").length;
  const verdict = healthy
    ? "Host setup is ready."
    : `${String(problems)} problem${problems === 1 ? "" : "s"} to solve before sandboxes can run.`;
  return styled`${joined([...lines, "", verdict], "\n")}\n`;
}
