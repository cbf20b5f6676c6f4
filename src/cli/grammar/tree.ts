import { fullName, longName, type AnyCommand, type OptionSpec } from "./command.ts";
import { isFamily, type CommandEntries } from "./entries.ts";
import { globalOptions } from "./globals.ts";

/** An option as the help shows it: `-m, --memory <SIZE>`. */
export function optionTerm(key: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? "" : `-${spec.short}, `;
  const argument = spec.kind === "flag" ? "" : ` <${spec.placeholder}>`;
  return `${short}--${longName(key)}${argument}`;
}

/** Operands as the help shows them: `NAME... [-- COMMAND...]`. */
export function operandsTerm(command: AnyCommand): string {
  const operands = (command.operands ?? []).map((operand) => {
    const name = operand.repeated === true ? `${operand.name}...` : operand.name;
    return operand.required ? name : `[${name}]`;
  });
  return [...operands, ...(command.guestCommand === true ? ["[-- COMMAND...]"] : [])].join(" ");
}

/**
 * Commands with their options and descriptions, as a tree.
 *
 * @param withHidden - also those that the help does not name
 */
export async function commandTree(entries: CommandEntries, withHidden: boolean): Promise<string> {
  const branches = await branchesOf(entries, withHidden);
  const globals = Object.entries(globalOptions).flatMap(([key, spec]) => optionBranches(key, spec));
  const lines = [...render([...branches, ...globals], "")];
  const width = Math.max(...lines.map(([term]) => term.length));
  return (
    ["msb", ...lines.map(([term, description]) => `${term.padEnd(width)}  ${description}`.trimEnd())].join(
      "\n",
    ) + "\n"
  );
}

interface Branch {
  readonly term: string;
  readonly tail?: string;
  readonly description: string;
  readonly children: readonly Branch[];
}

async function branchesOf(entries: CommandEntries, withHidden: boolean): Promise<Branch[]> {
  const branches: Branch[] = [];
  for (const entry of entries) {
    if (isFamily(entry)) {
      const children = await branchesOf(entry.members, withHidden);
      branches.push({ term: entry.names.join(", "), description: entry.summary, children });
      continue;
    }
    const command = await entry.load();
    if (command.hidden === true && !withHidden) continue;
    branches.push({
      term: [fullName(command), ...(command.aliases ?? [])].join(", "),
      tail: operandsTerm(command),
      description: command.summary,
      children: Object.entries(command.options).flatMap(([key, spec]) => optionBranches(key, spec)),
    });
  }
  return branches;
}

function optionBranches(key: string, spec: OptionSpec): Branch[] {
  if (spec.hidden === true) return [];
  const branches = [{ term: optionTerm(key, spec), description: spec.description, children: [] }];
  if (spec.negation !== undefined) {
    branches.push({ term: `--no-${longName(key)}`, description: spec.negation, children: [] });
  }
  return branches;
}

function* render(branches: readonly Branch[], prefix: string): Generator<readonly [string, string]> {
  for (const [index, branch] of branches.entries()) {
    const last = index === branches.length - 1;
    const tail = branch.tail === undefined || branch.tail === "" ? "" : ` ${branch.tail}`;
    yield [`${prefix}${last ? "└── " : "├── "}${branch.term}${tail}`, branch.description];
    yield* render(branch.children, `${prefix}${last ? "    " : "│   "}`);
  }
}
