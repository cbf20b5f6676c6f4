import { chmod, copyFile, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { build, type Metafile } from "esbuild";
import {
  lazyBuiltins,
  ownFile,
  plainAddon,
  plainPackage,
  requiredBuiltins,
  separatePrograms,
  type SeparateProgram,
} from "./bundle-plugins.ts";

/** Marked executable. By its place in `src/`, as all these. */
const COMMAND = "cli/main.ts";
const LIBRARY = "api/index.ts";
/**
 * Small programs that do what cannot wait, and then import the rest, which is in a file of its own: the command line looks at Node
 * itself, the supervisor starts QEMU.
 */
const STARTERS: Readonly<Record<string, string>> = {
  [COMMAND]: "cli/dispatch.ts",
  "supervisor/main.ts": "supervisor/program.ts",
};
/** What a command of the command line loads when it is asked for, by who loads it: its packages are large, and no other command is to read them. */
const LATER: Readonly<Record<string, string>> = {
  "cli/commands/host/mcp.ts": "mcp/program.ts",
  "cli/commands/host/dashboard.ts": "dashboard/dashboard.ts",
};
/** Says which Node is needed, where this one is too old. */
const FIRST = "require-node.ts";
/** A thread of the supervisor's, started for a sandbox that has directories of the host. */
const FILE_SERVER = "file-server/worker.ts";
/** The package that speaks SSH: many read and compile a bundle, and few of them use that. */
const SSH = "ssh/library.ts";
const PROGRAMS = [
  ...[FIRST, LIBRARY, ...Object.entries(STARTERS).flat(), ...Object.values(LATER)],
  ...[FILE_SERVER, SSH],
];

/** The dashboard's page, which runs in a browser. */
const PAGE = "dashboard/page";
const PAGE_FILES = ["index.html", "icon.svg"];
const PAGE_BUNDLES = ["app.js", "app.css"];
/** Parts of `ws` in native code, which it does without. */
const OPTIONAL = ["bufferutil", "utf-8-validate"];

/** What `import "microsandbox"` gets: the library, under the name that its declarations have. */
const ENTRY = "index.js";
const NOTICES = "third-party-licences.txt";

/**
 * Writes each program with all it imports as one file: one file is read and compiled far faster than a hundred. Each lies
 * where its source does (`src/cli/main.ts`, `dist/cli/main.js`), because paths are made relative to `import.meta.url`. What
 * is imported dynamically is in the same file, and is executed when it is asked for: nothing that runs now depends on a
 * file that an upgrade of the package takes away.
 *
 * @returns the files that were written, relative to `dist`
 */
export async function bundle(root: string, dist: string): Promise<string[]> {
  const source = join(root, "src");
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: PROGRAMS.map((path) => join(source, path)),
    outbase: source,
    outdir: dist,
    bundle: true,
    format: "esm",
    platform: "node",
    // The oldest Node that package.json allows.
    target: "node22.15",
    // A fifth less to read and compile. Names stay, and lines are short, for stack traces.
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: "eof",
    metafile: true,
    external: OPTIONAL,
    logLevel: "warning",
    plugins: [
      separatePrograms([
        ...Object.entries(STARTERS).map(([starter, program]) => separated(source, starter, starter, program)),
        ...Object.entries(LATER).map(([importer, program]) =>
          separated(source, importer, "cli/dispatch.ts", program),
        ),
      ]),
      ownFile(join(source, SSH), `../${compiled(SSH)}`),
      plainPackage,
      lazyBuiltins,
      requiredBuiltins,
      plainAddon,
    ],
  });
  await chmod(join(dist, compiled(COMMAND)), 0o755);
  await writeFile(
    join(dist, ENTRY),
    `import "./${compiled(FIRST)}";\nexport * from "./${compiled(LIBRARY)}";\n`,
  );
  const page = await bundlePage(root, dist);
  await writeFile(join(dist, NOTICES), await notices(root, [metafile, page]));
  const ofPage = [...PAGE_FILES, ...PAGE_BUNDLES].map((name) => `${PAGE}/${name}`);
  return [...PROGRAMS.map(compiled), ENTRY, NOTICES, ...ofPage];
}

/** Writes the dashboard's page: all its scripts in one file, all its styles in another. */
async function bundlePage(root: string, dist: string): Promise<Metafile> {
  const source = join(root, "src", PAGE);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { app: join(source, "main.tsx") },
    outdir: join(dist, PAGE),
    bundle: true,
    format: "esm",
    platform: "browser",
    target: ["chrome120", "firefox121", "safari17"],
    minify: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  await Promise.all(PAGE_FILES.map((name) => copyFile(join(source, name), join(dist, PAGE, name))));
  return metafile;
}

/** @param bundled the program in whose bundle the importer is */
function separated(source: string, importer: string, bundled: string, program: string): SeparateProgram {
  const specifier = relative(dirname(bundled), compiled(program));
  return {
    importer: join(source, importer),
    program: join(source, program),
    specifier: specifier.startsWith(".") ? specifier : `./${specifier}`,
  };
}

/** `cli/main.ts` → `cli/main.js`. */
function compiled(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

/** The licences of the packages whose code is in the bundles, which they ask to be kept with it. */
async function notices(root: string, metafiles: readonly Metafile[]): Promise<string> {
  const packages = new Set<string>();
  for (const path of metafiles.flatMap(({ inputs }) => Object.keys(inputs))) {
    const found = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path);
    if (found !== null) packages.add(found[0]);
  }
  const texts = await Promise.all(
    [...packages].sort().map(async (directory) => {
      const files = await readdir(join(root, directory));
      const licence = files.find((file) => /^licen[cs]e(\.|$)/i.test(file));
      if (licence === undefined) throw new Error(`${directory} has no licence to be kept with its code`);
      const text = await readFile(join(root, directory, licence), "utf8");
      return `${directory.slice(directory.lastIndexOf("node_modules/") + "node_modules/".length)}\n\n${text.trim()}\n`;
    }),
  );
  return ["These packages are part of the programs of microsandbox.\n", ...texts].join(
    `\n${"-".repeat(80)}\n\n`,
  );
}
