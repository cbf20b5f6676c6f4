import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { summarize, type Summary } from "./statistics.ts";

const root = join(import.meta.dirname, "..");

/** One row of the table. */
export interface Figure extends Summary {
  readonly name: string;
  readonly unit: "ms" | "MB/s" | "MB";
}

/** A comparison of two figures of the same run. */
export interface Ratio {
  readonly name: string;
  readonly value: number;
}

/** Gathers what a run measures, shows it as it comes, and keeps it. */
export class Report {
  readonly #figures: Figure[] = [];
  readonly #ratios: Ratio[] = [];

  /** A table's head. */
  section(title: string): void {
    console.log(
      `\n${title.padEnd(46)}${["n", "p50", "p95", "p99"].map((name) => name.padStart(10)).join("")}`,
    );
  }

  figure(name: string, unit: Figure["unit"], samples: readonly number[]): Figure {
    const figure: Figure = { name, unit, ...summarize(samples) };
    this.#figures.push(figure);
    const values = [figure.p50, figure.p95, figure.p99].map((value) => format(value).padStart(10)).join("");
    console.log(`  ${`${name}, ${unit}`.padEnd(44)}${String(figure.count).padStart(10)}${values}`);
    return figure;
  }

  ratio(name: string, value: number): void {
    this.#ratios.push({ name, value });
    console.log(`  ${name.padEnd(64)}${value.toFixed(2).padStart(10)} ×`);
  }

  /** Writes everything to `bench/results/<time>.json`. @returns the path */
  write(facts: Readonly<Record<string, string>>): string {
    const directory = join(root, "bench/results");
    mkdirSync(directory, { recursive: true });
    const at = new Date().toISOString();
    const path = join(directory, `${at.replaceAll(":", "-")}.json`);
    const content = { at, host: hostFacts(), ...facts, figures: this.#figures, ratios: this.#ratios };
    writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
    return path;
  }
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
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
