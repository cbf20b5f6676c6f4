import type { Topic, Topics } from "../wire.ts";

/** Tells the page something; waits while it is slow. */
export type Tell<Name extends Topic> = (news: Topics[Name]["news"]) => Promise<void>;

/** Goes on until there is nothing more to tell, or the signal is aborted. */
export type Feed<Name extends Topic> = (
  args: Topics[Name]["args"],
  tell: Tell<Name>,
  signal: AbortSignal,
) => Promise<void>;
