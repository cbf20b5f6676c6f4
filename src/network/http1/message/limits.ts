/** Of a head, and of the trailers after a body, in bytes. */
export const maxHeadBytes = 64 * 1024;
/** Of the line before each chunk, in bytes. */
export const maxChunkLineBytes = 4096;
/** Of all extensions of chunks in one body, in bytes: as many as Node's own server takes. */
export const maxExtensionBytes = 16 * 1024;
/** Of a body that has to be whole before its length can be said, in bytes. */
export const maxHeldBodyBytes = 16 * 1024 * 1024;
