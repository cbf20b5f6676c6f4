/** Not as RFC 9112 wants it. The relay tells its inspector, and breaks off. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}
