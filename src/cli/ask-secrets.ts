import type { SandboxConfig, SandboxHandle } from "../api/index.ts";
import { readHidden } from "./ask.ts";
import type { Progress } from "./output/progress.ts";

/** Several sandboxes may be started at once, and one terminal takes one question. */
let asking: Promise<unknown> = Promise.resolve();

/**
 * Asks the user for the values that a new sandbox is to have from variables which are not set, and puts them into the environment of this
 * program, as the user could have: it is where a start looks for them. What nobody gives is left out, and the creation says so.
 */
export async function askForVariables({ name, secrets }: SandboxConfig): Promise<void> {
  for (const { envVar, source } of secrets) {
    if (source.kind !== "env" || (process.env[source.var] ?? "") !== "" || !canAsk()) continue;
    process.env[source.var] = await readHidden(`The secret ${envVar} of ${name}: `);
  }
}

/**
 * The values of a sandbox's secrets that are not kept on this host: from the variables of their names, or from the user. Those that
 * nobody gives are left out, and the start says which.
 */
export async function askedSecrets(
  handle: SandboxHandle,
  progress: Progress,
): Promise<Readonly<Record<string, string>>> {
  return await askedValues(await handle.missingSecrets(), handle.name, progress);
}

/** The same for a sandbox that is not there yet. @param sandbox its name */
export async function askedValues(
  names: readonly string[],
  sandbox: string,
  progress: Progress,
): Promise<Readonly<Record<string, string>>> {
  const secrets: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name] ?? "";
    if (value !== "") secrets[name] = value;
    else if (canAsk()) {
      const question = asking.then(async () => {
        progress.clear();
        return await readHidden(`The secret ${name} of ${sandbox}: `);
      });
      asking = question.catch(() => undefined);
      secrets[name] = await question;
    }
  }
  return secrets;
}

function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}
