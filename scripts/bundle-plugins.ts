import { readFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { join } from "node:path";
import type { Plugin } from "esbuild";

/**
 * Node's own modules, loaded when something of them is first used. Together they take longer to load than all of our code,
 * and one run needs few of them. A static import would load them all at once, and read every property of each: those of
 * `node:http`, `node:util` and `node:process` load half of Node.
 */
export const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup: (build) => {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin" }));
    build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: lazyModule(path),
      loader: "js",
    }));
  },
};

function lazyModule(name: string): string {
  // esbuild copies the properties of what a CommonJS module exports, and keeps its prototype: so the lookup is there.
  return `
    const lookup = { get: (_, key) => process.getBuiltinModule(${JSON.stringify(name)})[key] };
    module.exports = Object.create(new Proxy({}, lookup));
  `;
}

/**
 * The native code of fs-native-extensions, loaded from where it lies when it is first used. The package's own search for it
 * reads the descriptions of five packages and takes a third of the time that Node takes to start; it is asked only
 * where the file cannot be used.
 */
export const plainAddon: Plugin = {
  name: "plain-addon",
  setup: (build) => {
    build.onLoad({ filter: /[\\/]fs-native-extensions[\\/]binding\.js$/ }, ({ path }) => {
      const names = Object.keys(createRequire(path)(path) as object);
      return { contents: addonModule(names), loader: "js" };
    });
  },
};

/** Knows where the package lies whose dependency the native code is. */
const packageFiles = join(import.meta.dirname, "../src/host/package-files.ts");

function addonModule(names: readonly string[]): string {
  return `
    import { requireFromPackage } from ${JSON.stringify(packageFiles)};
    let addon;
    function load() {
      try {
        return requireFromPackage(\`fs-native-extensions/prebuilds/\${process.platform}-\${process.arch}/fs-native-extensions.node\`);
      } catch {
        return requireFromPackage("fs-native-extensions/binding.js");
      }
    }
    ${names.map((name) => `export const ${name} = (...given) => (addon ??= load()).${name}(...given);`).join("\n")}
  `;
}

/**
 * Leaves each program out of its starter, which imports it from the file beside its own.
 *
 * @param programs by their starters, as absolute paths
 */
export function separatePrograms(programs: ReadonlyMap<string, string>): Plugin {
  return {
    name: "separate-programs",
    setup: (build) => {
      build.onResolve({ filter: /^\.\.?\// }, async ({ path, importer, kind, resolveDir, pluginData }) => {
        const program = programs.get(importer);
        if (program === undefined || kind !== "dynamic-import" || pluginData === separating) return undefined;
        const resolved = await build.resolve(path, { kind, importer, resolveDir, pluginData: separating });
        if (resolved.path !== program) return undefined;
        return { path: path.replace(/\.ts$/, ".js"), external: true };
      });
    },
  };
}

/** Marks the question that this plugin itself asks. */
const separating = Symbol("separating");

/**
 * Leaves a file that is imported dynamically out of all bundles but its own. The directory of every bundle is one below `dist/`, as is
 * that of the file.
 *
 * @param path absolute
 * @param external where it is, seen from a bundle
 */
export function ownFile(path: string, external: string): Plugin {
  return {
    name: "own-file",
    setup: (build) => {
      build.onResolve({ filter: /^\.\.?\// }, ({ path: imported, kind, resolveDir }) =>
        kind === "dynamic-import" && join(resolveDir, imported) === path
          ? { path: external, external: true }
          : undefined,
      );
    },
  };
}

/**
 * The package ssh2, which is CommonJS: it gets Node's own modules, and not its native parts, which would have to be compiled on the
 * user's computer. Without them it uses Node's cryptography, and WebAssembly.
 */
export const plainPackage: Plugin = {
  name: "plain-package",
  setup: (build) => {
    build.onResolve({ filter: /(\.node|^cpu-features)$/ }, ({ path, importer }) =>
      importer.includes("/node_modules/ssh2/") ? { path, namespace: "left-out" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: 'throw new Error("left out");',
      loader: "js",
    }));
    // Nothing lies beside these files any more: a program for Windows, and what is in the file itself.
    build.onLoad({ filter: /[\\/]ssh2[\\/]lib[\\/].*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replaceAll("__dirname", '"/"'),
      loader: "js",
    }));
    build.onResolve({ filter: /^[a-z_]+$/ }, ({ path, kind }) =>
      kind === "require-call" && isBuiltin(path) ? { path, namespace: "plain-builtin" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "plain-builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: "js",
    }));
  },
};
