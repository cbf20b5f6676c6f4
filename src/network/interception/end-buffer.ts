/**
 * For both ends of TLS, as options of theirs (`highWaterMark`, which the types of Node leave out): so many bytes wait in each direction
 * before the other end is not read any more. What waits goes out as one write, and that costs much the same whatever its length is.
 */
export const endBuffer = { highWaterMark: 128 * 1024 };
