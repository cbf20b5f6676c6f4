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

/**
 * Options of Node for a supervisor, in MiB. What it relays is in buffers outside of V8's heap, a few hundred bytes of objects for each,
 * and both are garbage at once. A small semispace (of V8's young generation: it has several) is full, and collected, before there are many
 * of them; larger ones save no time, and V8 would let each grow to tens of MiB and keep that. Below so much of an old generation, such
 * buffers counted in, V8 looks for no garbage in it: of itself it begins some 15 MiB above what lives, which TLS reaches at every turn.
 */
export const supervisorNodeOptions: readonly string[] = [
  "--max-semi-space-size=2",
  "--initial-old-space-size=64",
];

/**
 * What a supervisor is for: a sandbox; a sandbox that a pool has ready for somebody, and nobody has yet (`member`); or (`host`) requests about
 * this host on its owner's connection.
 */
export type SupervisorTask =
  | { readonly kind: "sandbox"; readonly name: string; readonly attached: boolean }
  | { readonly kind: "member"; readonly pool: string }
  | { readonly kind: "host" };

/** The supervisor's arguments: `NAME attached|detached`, `POOL member`, or `host` alone. */
export function supervisorArguments(task: SupervisorTask): string[] {
  if (task.kind === "host") return ["host"];
  if (task.kind === "member") return [task.pool, "member"];
  return [task.name, task.attached ? "attached" : "detached"];
}

/** @returns null when they are none of a supervisor's */
export function parseSupervisorArguments(words: readonly string[]): SupervisorTask | null {
  const [name, mode, ...rest] = words;
  if (name === "host" && mode === undefined) return { kind: "host" };
  if (name === undefined || rest.length > 0) return null;
  if (mode === "member") return { kind: "member", pool: name };
  if (mode !== "attached" && mode !== "detached") return null;
  return { kind: "sandbox", name, attached: mode === "attached" };
}
