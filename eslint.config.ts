import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";
import { circlesRule } from "./scripts/eslint-circles.ts";
import { layersRule, type Layers } from "./scripts/eslint-layers.ts";

const root = import.meta.dirname;
const layers = JSON.parse(readFileSync(join(root, "layers.json"), "utf8")) as Layers;

const namedExports = {
  selector: "ExportDefaultDeclaration",
  message: "Named exports are found by searching for them.",
};
/** One writer takes out of what is printed what would steer the terminal. */
const cleanOutput = [
  {
    selector:
      "CallExpression[callee.property.name='write'] > MemberExpression.callee[object.property.name=/^std(out|err)$/]",
    message: "Print with out(), err() or print(), which clean what is not ours.",
  },
  {
    selector: "CallExpression[callee.object.name='console']",
    message: "Print with out() or err(), which clean what is not ours.",
  },
];

export default defineConfig(
  // docs/ is the site's: its settings name packages that only `npm run docs` installs.
  {
    ignores: [
      "dist/",
      "docs/",
      "agent/target/",
      "guest/.cache/",
      "bench/results/",
      "src/protocol/generated/",
    ],
  },
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    plugins: {
      own: {
        rules: {
          layers: layersRule(layers, join(root, "src"), join(root, "test/support")),
          circles: circlesRule(join(root, "src")),
        },
      },
    },
    rules: {
      "own/layers": "error",
      "own/circles": "error",
      eqeqeq: "error",
      "no-restricted-syntax": ["error", namedExports],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          // The test runner itself waits for what these return.
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "describe", "it", "suite"] },
          ],
        },
      ],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", ignoreRestSiblings: true, ignoreUsingDeclarations: true },
      ],
      // Allowed, because they read well and cannot go wrong.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      // An interface may ask for a promise where one implementation has nothing to wait for.
      "@typescript-eslint/require-await": "off",
      // `Promise<void> | void` is how a callback says that it may wait.
      "@typescript-eslint/no-invalid-void-type": "off",
    },
  },
  {
    files: ["src/cli/**/*.ts"],
    // The entry cannot import anything before it knows that this Node can run it.
    ignores: ["src/cli/main.ts", "**/*.test.ts"],
    rules: { "no-restricted-syntax": ["error", namedExports, ...cleanOutput] },
  },
  // Tests take results apart, functions and all.
  { files: ["test/**/*.ts", "**/*.test.ts"], rules: { "@typescript-eslint/unbound-method": "off" } },
  { files: ["eslint.config.ts"], rules: { "no-restricted-syntax": "off" } },
);
