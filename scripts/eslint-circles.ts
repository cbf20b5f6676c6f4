/**
 * An ESLint rule against import circles between files, at run time or in types: whoever reads one of such files has to read all
 * of them. Exports that pass something on count, and so do imports that are done later (`await import(…)`).
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { Rule } from "eslint";
import ts from "typescript";

/** For each file, by its absolute path, those it imports. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** @param source path of the folder whose files are looked at; tests are left out */
export function circlesRule(source: string): Rule.RuleModule {
  let circles: ReadonlyMap<string, readonly string[]> | null = null;
  return {
    meta: {
      type: "problem",
      schema: [],
      messages: { circle: "import circle: {{files}}" },
    },
    create(context): Rule.RuleListener {
      return {
        Program: (node) => {
          circles ??= findCircles(importGraph(source));
          const circle = circles.get(context.filename);
          if (circle === undefined) return;
          const files = circle.map((path) => relative(source, path)).join(" → ");
          context.report({ node, messageId: "circle", data: { files } });
        },
      };
    },
  };
}

/** What the files below a folder import of each other. */
export function importGraph(source: string): ImportGraph {
  const files = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith(".test.ts"))
    .map((path) => join(source, path));
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(file, "utf8"), true, true);
      const own = importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
      return [file, own.map((name) => resolve(dirname(file), name))];
    }),
  );
}

/** @returns for each file that is part of a circle, the shortest one from it and back to it */
export function findCircles(graph: ImportGraph): ReadonlyMap<string, readonly string[]> {
  const circles = new Map<string, readonly string[]>();
  for (const file of graph.keys()) {
    const circle = shortestCircle(graph, file);
    if (circle !== null) circles.set(file, circle);
  }
  return circles;
}

function shortestCircle(graph: ImportGraph, start: string): readonly string[] | null {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const next of graph.get(file) ?? []) {
      if (next === start) return trail(cameFrom, start, file);
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return null;
}

function trail(cameFrom: ReadonlyMap<string, string>, start: string, last: string): readonly string[] {
  const backwards = [start];
  for (let file: string | undefined = last; file !== undefined && file !== start; file = cameFrom.get(file)) {
    backwards.push(file);
  }
  return [start, ...backwards.reverse()];
}
