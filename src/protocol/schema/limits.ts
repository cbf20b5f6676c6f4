import type { Route } from "./types.ts";

/** Raised with every incompatible change; both ends of a hop must have the same one. */
export const PROTOCOL_VERSION = 6;

/** Numbers that both ends of a hop have to agree on. */
export const limits = {
  MAX_CONTROL_PAYLOAD: { value: 4 * 1024 * 1024, doc: "Bytes; what one message may take." },
  MAX_DATA_PAYLOAD: {
    value: 64 * 1024,
    doc: "Bytes; what one frame of data may take. Longer data takes several frames.",
  },
  INITIAL_CREDIT: {
    value: 512 * 1024,
    doc: "Bytes that each side may send on a stream before the other has granted any.",
  },
  CREDIT_PORTIONS: {
    value: 4,
    doc: "Credit is granted in portions of at least the initial credit divided by this.",
  },
  FRAME_HEADER_BYTES: { value: 9, doc: "Bytes before a frame's payload: its length, stream and kind." },
  COUNTED_HEADER_BYTES: {
    value: 5,
    doc: "Bytes of a frame's header that its length counts: stream and kind.",
  },
  RECORD_ENTRY: { value: 1, doc: "In a tree: an entry of it." },
  RECORD_DATA: { value: 2, doc: "In a tree: so many bytes of the file before follow." },
  RECORD_HOLE: { value: 3, doc: "In a tree: so many bytes of the file before are a hole." },
  RECORD_PROBLEM: {
    value: 4,
    doc: "In a tree: what could not be read. Within a file it ends the file, which is void.",
  },
  RECORD_LINK: { value: 5, doc: "In a tree for a guest: a further name of a file that came before." },
  MAX_RECORD: { value: 64 * 1024, doc: "Bytes; what one record of a tree may take, without its length." },
} as const;

/** What a frame carries, by the byte that says so: a message, or raw bytes of the stream's service. */
export const frameKinds = { control: 0, data: 1, extra: 2 } as const;

/**
 * How many streams whoever sends on this route may have open at a time. The agent trusts its supervisor, which has bounded
 * what its clients ask for.
 */
export const openStreams: Readonly<Record<Route, number>> = {
  "client→supervisor": 16_384,
  "supervisor→client": 256,
  "supervisor→agent": 1 << 24,
  "agent→supervisor": 16,
};

/** Whoever sends on these routes opens streams with odd numbers, the other end with even ones (as RFC 9113, 5.1.1). */
export const odd: readonly Route[] = ["client→supervisor", "supervisor→agent"];
