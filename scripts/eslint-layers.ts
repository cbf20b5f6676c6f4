/**
 * An ESLint rule that keeps the folders of `src/` apart: each may import from itself and from those that `layers.json`
 * lists for it. That the list is free of cycles is checked too, so no two folders can need each other.
 */
import { dirname, relative, resolve, sep } from "node:path";
import type { Rule } from "eslint";

/** For each entry of `src/`, what it may import from. */
export type Layers = Readonly<Record<string, readonly string[]>>;

/**
 * The rule for one source folder.
 *
 * @param layers the content of `layers.json`
 * @param source path of `src/`
 * @throws Error when a layer is unknown or the layers form a cycle
 */
export function layersRule(layers: Layers, source: string): Rule.RuleModule {
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
      const from = layerOf(source, context.filename);
      if (from === null) return {};
      const check = (node: Rule.Node, specifier: unknown): void => {
        if (typeof specifier !== "string") return;
        const isOwnName = specifier === "microsandbox";
        if (!specifier.startsWith(".") && !isOwnName) return;
        const allowed = layers[from];
        if (allowed === undefined) {
          context.report({ node, messageId: "unlisted", data: { from } });
          return;
        }
        const to = isOwnName ? "index.ts" : layerOf(source, resolve(dirname(context.filename), specifier));
        if (to === null) {
          context.report({ node, messageId: "outside", data: { specifier } });
        } else if (to !== from && !allowed.includes(to)) {
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

/** The first step of a path below `source`, null outside of it. */
function layerOf(source: string, path: string): string | null {
  const [first] = relative(source, path).split(sep);
  return first === undefined || first === "" || first === ".." ? null : first;
}

function checkLayers(layers: Layers): void {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): void => {
    if (trail.includes(name)) throw new Error(`layers.json has a cycle: ${[...trail, name].join(" → ")}`);
    const below = layers[name];
    if (below === undefined) throw new Error(`layers.json allows ${name}, which it does not list`);
    if (done.has(name)) return;
    for (const next of below) visit(next, [...trail, name]);
    done.add(name);
  };
  for (const name of Object.keys(layers)) visit(name, []);
}
