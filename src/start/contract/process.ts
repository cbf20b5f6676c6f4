/**
 * How a supervisor is started: what it inherits and what its arguments say. Whoever starts one and the supervisor itself both
 * go by this file. It imports nothing, because it is part of the first that a supervisor loads.
 */

/** The connection of the process that starts it, both ways, in the protocol's frames. */
export const ownerFd = 3;
/** The sandbox's lock, held. Nothing for a supervisor without a sandbox. */
export const lockFd = 4;
/** Where the {@link Handover} comes, as JSON, and then the end. Nothing for a supervisor without a sandbox. */
export const prelaunchFd = 5;

/** What a supervisor is for: a sandbox, or (`host`) requests about this host on its owner's connection. */
export type SupervisorTask =
  { readonly kind: "sandbox"; readonly name: string; readonly attached: boolean } | { readonly kind: "host" };

/** The supervisor's arguments: `NAME attached|detached`, or `host` alone. */
export function supervisorArguments(task: SupervisorTask): string[] {
  return task.kind === "host" ? ["host"] : [task.name, task.attached ? "attached" : "detached"];
}

/** @returns null when they are none of a supervisor's */
export function parseSupervisorArguments(words: readonly string[]): SupervisorTask | null {
  const [name, mode, ...rest] = words;
  if (name === "host" && mode === undefined) return { kind: "host" };
  if (name === undefined || rest.length > 0) return null;
  if (mode !== "attached" && mode !== "detached") return null;
  return { kind: "sandbox", name, attached: mode === "attached" };
}
