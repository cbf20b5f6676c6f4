/**
 * The one description of what crosses a hop:
 *
 *     client ── unix socket ──▶ supervisor ── virtio-serial ──▶ agent
 *
 * `npm run generate` turns it into `src/protocol/generated/` and `agent/src/generated/`: codecs, limits, and a table of the
 * services. Data (standard input and output, contents of files) never passes through the codecs: it travels in raw frames,
 * see `frame.ts`.
 *
 * A new message goes into the file of its area, and into the lists of the services that it is used by. `types.ts` says how
 * fields are written and what a service is made of.
 */

import { commands } from "./commands.ts";
import { events } from "./events.ts";
import { files } from "./files.ts";
import { handshake } from "./handshake.ts";
import { host } from "./host.ts";
import { lifecycle } from "./lifecycle.ts";
import { observation } from "./observation.ts";
import { patches } from "./patches.ts";
import { network } from "./network.ts";
import { providers } from "./providers.ts";
import { stream } from "./stream.ts";
import type { Area, Fields, MessageDefinition, ServiceDefinition } from "./types.ts";

/** All of them; no two may give one name to two things. */
export const areas: readonly Area[] = [
  stream,
  handshake,
  commands,
  files,
  providers,
  patches,
  lifecycle,
  observation,
  network,
  events,
  host,
];

export const enums: Readonly<Record<string, readonly string[]>> = join(({ enums }) => enums);
export const structs: Readonly<Record<string, Fields>> = join(({ structs }) => structs);
export const messages: Readonly<Record<string, MessageDefinition>> = join(({ messages }) => messages);
export const services: Readonly<Record<string, ServiceDefinition>> = join(({ services }) => services);

/** What may be said on stream 0: by the connection itself, before and beside all streams. */
export const connectionMessages: readonly string[] = [...Object.keys(handshake.messages), "Failure"];

/** What may be said on the stream of any service, as far as it carries data. */
export const streamMessages: readonly string[] = Object.keys(stream.messages);

function join<T>(of: (area: Area) => Readonly<Record<string, T>> | undefined): Readonly<Record<string, T>> {
  return Object.fromEntries(areas.flatMap((area) => Object.entries(of(area) ?? {})));
}
