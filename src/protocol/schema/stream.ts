import { down, up, type Area } from "./types.ts";

const anywhere = [...down, ...up] as const;

/** What is the same on the streams of all services. `src/protocol/streams.ts` and `agent/src/protocol/stream.rs` deal with these. */
export const stream = {
  messages: {
    End: {
      tag: 14,
      routes: anywhere,
      doc: "Half-close: this side sends no more data on the stream. Messages may follow.",
      fields: {},
    },
    StopSending: {
      tag: 15,
      routes: anywhere,
      doc: "This side has no use for more data (as RFC 9000, 19.5): what is sent from now on is dropped.",
      fields: {},
    },
    Credit: {
      tag: 18,
      routes: anywhere,
      doc: "The receiver of data on this stream can take so many bytes more, data and extra together. Credits add up, but never to more than was sent.",
      fields: { bytes: "u32" },
    },
    Failure: {
      tag: 61,
      routes: anywhere,
      doc: "Aborts the stream. From the one who accepted it this is the last word. From the one who opened it, it is a wish: the other one answers with the last word, and what arrives before that is dropped. `code` is a MicrosandboxErrorCode; `details` is a JSON object: the error's own `fields`, its `log` and its `cause`.",
      fields: { code: "str", message: "str", hint: "str", details: "str" },
    },
  },
} as const satisfies Area;
