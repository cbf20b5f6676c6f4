import { SandboxNotFoundError } from "../errors/index.ts";

/** Kills a sandbox and removes all that is its own. Nothing to do is no error. */
export async function discard(name: string): Promise<void> {
  const { Sandbox } = await import("../api/index.ts");
  try {
    const handle = await Sandbox.get(name);
    await handle.kill();
    await Sandbox.remove(name);
  } catch (error) {
    if (!(error instanceof SandboxNotFoundError)) throw error;
  }
}
