/** What a client may take of the host before it is sent away. */
export const sshLimits = {
  /** From the first byte to a session that has proved who it is, ms. */
  loginMs: 30_000,
  /** Connections that a server has at a time, and how many of them may still have to prove who they are. */
  connections: 256,
  strangers: 32,
  /** Keys that are offered on one connection. */
  keys: 32,
  /** Sessions and forwarded connections of one connection. */
  channels: 128,
  /** Bytes on their way to a client that does not read. */
  unsentBytes: 16 * 1024 * 1024,
  /** From there on its commands wait. */
  busyBytes: 1024 * 1024,
  /** Variables that one session sets, and the bytes of all of them. */
  variables: 128,
  environmentBytes: 64 * 1024,
  /** What a command may take to end after SIGHUP, when its client is gone, before it is killed, ms. */
  hangUpMs: 2000,
  /** What the far side of a forwarded connection may take to be told the rest, when the client is gone, before that is dropped, ms. */
  drainMs: 10_000,
  /** What a client may take to hear of the end of its connection, ms. */
  farewellMs: 1000,
} as const;
