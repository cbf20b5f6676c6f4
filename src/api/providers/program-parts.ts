import type { Providers } from "../../config/mounts/provider-mounts.ts";
import type { VolumeMount } from "../../config/mounts/volume-mount.ts";
import { type GivenHooks, hookNames, noHooks } from "../../config/network/interception/http-hooks.ts";
import { violation } from "../../protocol/violation.ts";
import type { Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { noRunSecrets, type RunSecrets } from "./run-secrets.ts";

/** What this program gives to a sandbox that it owns. */
export interface ProgramParts {
  /** Files that are mounted in it. */
  readonly providers: Providers;
  readonly secrets: RunSecrets;
  /** Functions that look at its requests. */
  readonly hooks: GivenHooks;
}

export const noParts: ProgramParts = { providers: new Map(), secrets: noRunSecrets, hooks: noHooks };

/** Serves what a supervisor asks for on a stream that it opens. */
export type Serve = (stream: Stream, opening: Message) => StreamHandler;

/** @returns null when the supervisor has nothing to ask for */
export async function serveParts(mounts: readonly VolumeMount[], parts: ProgramParts): Promise<Serve | null> {
  const { providers } = parts;
  const { material } = parts.secrets;
  // Loaded only where there are any.
  const files =
    providers.size === 0 ? null : (await import("./provide-files.ts")).provideFiles(mounts, providers);
  const secrets =
    material.size === 0 ? null : (await import("./provide-secrets.ts")).provideSecrets(material);
  const hooks =
    hookNames(parts.hooks).length === 0
      ? null
      : (await import("./hooks/provide-hooks.ts")).provideHooks(parts.hooks);
  if (files === null && secrets === null && hooks === null) return null;
  return (stream, opening) => {
    const { type } = opening;
    const ofRequests = type === "LookAtRequest" || type === "LookAtResponse" ? hooks : secrets;
    const serve = type === "ProvideFiles" ? files : ofRequests;
    if (serve === null) throw violation(`may not be opened here: ${stream.service.name}`);
    return serve(stream, opening);
  };
}
