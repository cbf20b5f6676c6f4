import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { summarize, type Summary } from "./statistics.ts";

const root = join(import.meta.dirname, "..");

/** getloadavg(3), of the last minute. Above this a host is not idle. */
const idleLoad = 0.5;
/** Of the tables' first column. */
const nameWidth = 54;

/** One row of the table. */
export interface Figure extends Summary {
  readonly name: string;
  readonly unit: "ms" | "MB/s" | "/s" | "MB" | "kB" | "%" | "";
}

/** A comparison of two figures of the same run. */
export interface Ratio {
  readonly name: string;
  readonly value: number;
}

/** What was wanted, and what came of it. */
export interface Goal {
  readonly name: string;
  readonly unit: string;
  /** The highest value that is good enough; the lowest for one of `atLeast`. */
  readonly wanted: number;
  readonly atLeast: boolean;
  /** null when it was not measured. */
  readonly measured: number | null;
  readonly met: boolean | null;
  /** How it came about, or why it was not measured. */
  readonly note: string;
}

/** Gathers what a run measures, shows it as it comes, and keeps it. */
export class Report {
  readonly #loadBefore = loadAverage();
  readonly #figures: Figure[] = [];
  readonly #ratios: Ratio[] = [];
  readonly #goals: Goal[] = [];
  readonly #failures: string[] = [];
  readonly #kept: Record<string, Readonly<Record<string, readonly number[]>>> = {};

  constructor() {
    if (this.#loadBefore <= idleLoad) return;
    console.log(
      `This host has other work to do (load average ${format(this.#loadBefore)}): times will be long.`,
    );
  }

  /** A table's head. */
  section(title: string): void {
    console.log(
      `\n${title.padEnd(nameWidth + 2)}${["n", "p50", "p95", "p99"].map((name) => name.padStart(10)).join("")}`,
    );
  }

  figure(name: string, unit: Figure["unit"], samples: readonly number[]): Figure {
    const figure: Figure = { name, unit, ...summarize(samples) };
    this.#figures.push(figure);
    const values = [figure.p50, figure.p95, figure.p99].map((value) => format(value).padStart(10)).join("");
    console.log(
      `  ${(unit === "" ? name : `${name}, ${unit}`).padEnd(nameWidth)}${String(figure.count).padStart(10)}${values}`,
    );
    return figure;
  }

  ratio(name: string, value: number): void {
    this.#ratios.push({ name, value });
    console.log(`  ${name.padEnd(nameWidth + 20)}${value.toFixed(2).padStart(10)} ×`);
  }

  /** Something to be reached. `wanted` is the most that it may be, or the least with `atLeast`. */
  goal(
    name: string,
    unit: string,
    wanted: number,
    measured: number | null,
    { atLeast = false, note = "" }: { readonly atLeast?: boolean; readonly note?: string } = {},
  ): void {
    const met = measured === null ? null : atLeast ? measured >= wanted : measured <= wanted;
    this.#goals.push({ name, unit, wanted, atLeast, measured, met, note });
  }

  /** Something too long for the table. */
  keep(name: string, samples: Readonly<Record<string, readonly number[]>>): void {
    this.#kept[name] = samples;
  }

  /** A part that broke off. What was measured before is kept. */
  failure(part: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#failures.push(`${part}: ${text}`);
    console.error(`\n${part} broke off: ${text}`);
  }

  get failed(): boolean {
    return this.#failures.length > 0;
  }

  /** Shows the goals beside what was measured. */
  goals(): void {
    if (this.#goals.length === 0) return;
    const head = ["wanted", "measured", ""].map((name) => name.padStart(14)).join("");
    console.log(`\n${"Goals".padEnd(nameWidth + 2)}${head}`);
    for (const { name, unit, wanted, atLeast, measured, met, note } of this.#goals) {
      const limit = `${atLeast ? "≥" : "≤"} ${format(wanted)} ${unit}`.padStart(14);
      const value = (measured === null ? "–" : `${format(measured)} ${unit}`).padStart(14);
      const verdict = (met === null ? "not measured" : met ? "met" : "NOT MET").padStart(14);
      console.log(`  ${name.padEnd(nameWidth)}${limit}${value}${verdict}`);
      if (note !== "") console.log(`    ${note}`);
    }
  }

  /** Writes everything to `bench/results/<time>.json`. @returns the path */
  write(facts: Readonly<Record<string, unknown>>): string {
    const directory = join(root, "bench/results");
    mkdirSync(directory, { recursive: true });
    const at = new Date().toISOString();
    const path = join(directory, `${at.replaceAll(":", "-")}.json`);
    const content = {
      at,
      host: hostFacts(),
      loadAverage: { before: this.#loadBefore, after: loadAverage() },
      ...facts,
      goals: this.#goals,
      failures: this.#failures,
      figures: this.#figures,
      ratios: this.#ratios,
      kept: this.#kept,
    };
    writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
    return path;
  }
}

function format(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function loadAverage(): number {
  return loadavg()[0] ?? Number.NaN;
}

function hostFacts(): Record<string, string | number> {
  return {
    system: `${process.platform} ${release()} ${process.arch}`,
    processor: cpus()[0]?.model ?? "unknown",
    processors: cpus().length,
    memoryMib: Math.round(totalmem() / 1024 / 1024),
    node: process.version,
    commit: commit(),
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
