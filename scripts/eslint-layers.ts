/**
 * An ESLint rule that keeps the parts of `src/` apart: each may import from itself and from those that `layers.json` lists for
 * it. Both are paths: of a folder, a folder within one, or a file. Of the parts that a file lies in, the longest counts. The list
 * has no circle, so no two parts can need each other.
 */
import { dirname, relative, resolve, sep } from "node:path";
import type { Rule } from "eslint";

/** For each part of `src/`, by its path, what it may import from. */
export type Layers = Readonly<Record<string, readonly string[]>>;

/**
 * The rule for one source folder.
 *
 * @param layers the content of `layers.json`
 * @param source path of `src/`
 * @param testSupport path of the folder that tests, and only they, may import from besides
 * @throws Error when a layer is unknown or the layers form a circle
 */
export function layersRule(layers: Layers, source: string, testSupport: string): Rule.RuleModule {
  checkLayers(layers);
  return {
    meta: {
      type: "problem",
      schema: [],
      messages: {
        forbidden: "src/{{from}} may not import from src/{{to}} (layers.json allows: {{allowed}})",
        outside: "src/ is compiled alone: it may not import {{specifier}}, which lies outside",
        unlisted: "src/{{from}} has no entry in layers.json",
      },
    },
    create(context): Rule.RuleListener {
      const path = pathBelow(source, context.filename);
      if (path === null) return {};
      const from = layerOf(layers, path);
      const isTest = context.filename.endsWith(".test.ts");
      const check = (node: Rule.Node, specifier: unknown): void => {
        if (typeof specifier !== "string") return;
        const isOwnName = specifier === "microsandbox";
        if (!specifier.startsWith(".") && !isOwnName) return;
        if (from === null) {
          context.report({ node, messageId: "unlisted", data: { from: path.split("/")[0] ?? path } });
          return;
        }
        const target = resolve(dirname(context.filename), specifier);
        if (isTest && pathBelow(testSupport, target) !== null) return;
        const targetPath = isOwnName ? "index.ts" : pathBelow(source, target);
        if (targetPath === null) {
          context.report({ node, messageId: "outside", data: { specifier } });
          return;
        }
        const to = layerOf(layers, targetPath) ?? targetPath;
        const allowed = layers[from] ?? [];
        if (to !== from && !allowed.some((part) => isIn(part, targetPath))) {
          const list = allowed.length === 0 ? "nothing" : allowed.join(", ");
          context.report({ node, messageId: "forbidden", data: { from, to, allowed: list } });
        }
      };
      return {
        ImportDeclaration: (node) => {
          check(node, node.source.value);
        },
        ExportNamedDeclaration: (node) => {
          check(node, node.source?.value);
        },
        ExportAllDeclaration: (node) => {
          check(node, node.source.value);
        },
        ImportExpression: (node) => {
          if (node.source.type === "Literal") check(node, node.source.value);
        },
        // `import("…").Type`, a node that only the TypeScript parser makes.
        TSImportType: (node: Rule.Node & { readonly source?: { readonly value?: unknown } }) => {
          check(node, node.source?.value);
        },
      };
    },
  };
}

/** With slashes; null for what is not below `directory`. */
function pathBelow(directory: string, path: string): string | null {
  const steps = relative(directory, path).split(sep);
  return steps[0] === "" || steps[0] === ".." ? null : steps.join("/");
}

/** The longest part that a path below `src/` belongs to; null when there is none. */
function layerOf(layers: Layers, path: string): string | null {
  for (let part = path; part !== "."; part = dirname(part)) if (Object.hasOwn(layers, part)) return part;
  return null;
}

function isIn(part: string, path: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}

function checkLayers(layers: Layers): void {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): void => {
    if (trail.includes(name)) throw new Error(`layers.json has a circle: ${[...trail, name].join(" → ")}`);
    if (done.has(name)) return;
    for (const next of layers[name] ?? []) {
      const part = layerOf(layers, next);
      if (part === null) throw new Error(`layers.json allows ${next}, which it does not list`);
      // A part may say which of its own it passes on.
      if (part !== name) visit(part, [...trail, name]);
    }
    done.add(name);
  };
  for (const name of Object.keys(layers)) visit(name, []);
}
