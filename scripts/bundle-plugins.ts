import { readFile } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
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

/**
 * The same for packages that are CommonJS, which ask for Node's modules by `require("events")`: what they get is the module itself, as some
 * are functions. They are executed when something of the package is first used, so nothing is loaded before.
 */
export const requiredBuiltins: Plugin = {
  name: "required-builtins",
  setup: (build) => {
    const names = new Set(builtinModules);
    build.onResolve({ filter: /^[a-z_/]+$/ }, ({ path, kind }) =>
      kind === "require-call" && names.has(path) ? { path, namespace: "required-builtin" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "required-builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
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

/** A program that is left out of the bundle of who imports it. Paths are absolute. */
export interface SeparateProgram {
  readonly importer: string;
  readonly program: string;
  /** Where the bundle finds it. */
  readonly specifier: string;
}

/** Leaves programs out of the bundles of who imports them, which import them from files of their own. */
export function separatePrograms(programs: readonly SeparateProgram[]): Plugin {
  return {
    name: "separate-programs",
    setup: (build) => {
      build.onResolve({ filter: /^\.\.?\// }, async ({ path, importer, kind, resolveDir, pluginData }) => {
        const separate = programs.filter((one) => one.importer === importer);
        if (separate.length === 0 || kind !== "dynamic-import" || pluginData === separating) return undefined;
        const resolved = await build.resolve(path, { kind, importer, resolveDir, pluginData: separating });
        const found = separate.find(({ program }) => program === resolved.path);
        return found === undefined ? undefined : { path: found.specifier, external: true };
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
 * The package ssh2 without its native parts, which would have to be compiled on the user's computer. Without them it uses Node's
 * cryptography, and WebAssembly.
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
  },
};
