import { ProtocolError } from "../errors/index.ts";

const peerHint =
  "Check that both ends come from the same version of microsandbox; if they do, the other end is faulty or hostile. " +
  "Nothing more can be read from this connection: close it.";

/** The error for bytes that the protocol does not allow. `what` says which rule was broken and where. */
export function violation(what: string): ProtocolError {
  return new ProtocolError(what, { hint: peerHint });
}

/** The error for a value of our own that cannot be put on the wire. Nothing was sent. */
export function unsendable(what: string, hint: string): ProtocolError {
  return new ProtocolError(what, { hint });
}
