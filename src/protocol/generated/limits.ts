// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

import type { Route } from "../schema/types.ts";

/** Bytes; what one message may take. */
export const MAX_CONTROL_PAYLOAD = 4194304;
/** Bytes; what one frame of data may take. Longer data takes several frames. */
export const MAX_DATA_PAYLOAD = 65536;
/** Bytes that each side may send on a stream before the other has granted any. */
export const INITIAL_CREDIT = 524288;
/** Credit is granted in portions of at least the initial credit divided by this. */
export const CREDIT_PORTIONS = 4;
/** Bytes before a frame's payload: its length, stream and kind. */
export const FRAME_HEADER_BYTES = 9;
/** Bytes of a frame's header that its length counts: stream and kind. */
export const COUNTED_HEADER_BYTES = 5;
/** In a tree: an entry of it. */
export const RECORD_ENTRY = 1;
/** In a tree: so many bytes of the file before follow. */
export const RECORD_DATA = 2;
/** In a tree: so many bytes of the file before are a hole. */
export const RECORD_HOLE = 3;
/** In a tree: what could not be read. Within a file it ends the file, which is void. */
export const RECORD_PROBLEM = 4;
/** In a tree for a guest: a further name of a file that came before. */
export const RECORD_LINK = 5;
/** Bytes; what one record of a tree may take, without its length. */
export const MAX_RECORD = 65536;

/** What a frame carries. */
export const FrameKind = { control: 0, data: 1, extra: 2 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** How many streams whoever sends on a route may have open at a time. */
export const MAX_OPEN_STREAMS: Readonly<Record<Route, number>> = {
  "client→supervisor": 16384,
  "supervisor→client": 256,
  "supervisor→agent": 16777216,
  "agent→supervisor": 16,
};

/** Whoever sends on these routes opens streams with odd numbers, the other end with even ones. */
export const ODD_ROUTES: readonly Route[] = ["client→supervisor", "supervisor→agent"];
