import { silent, toClient, type Area } from "./types.ts";

/** Files that the program serves that owns the sandbox. */
export const providers = {
  messages: {
    ProvideFiles: {
      tag: 140,
      routes: toClient,
      doc: "To the owner: what is mounted at this path of the guest is to be served, as long as the stream lasts.",
      fields: { path: "str" },
    },
  },
  services: {
    providers: {
      doc: "The messages of one mount, each with four bytes before it that are of no meaning here: the kernel's requests one way, and the answers the other way (linux/fuse.h). There is a stream for each mount of each machine that is started.",
      opens: ["ProvideFiles"],
      routes: toClient,
      opener: { messages: [], data: ["data"] },
      acceptor: { ...silent, data: ["data"], ends: [] },
    },
  },
} as const satisfies Area;
