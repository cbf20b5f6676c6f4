import { encodeFrame, FrameKind } from "./frame.ts";
import { encodeMessage, type Message } from "./generated/messages.ts";

/**
 * Encodes a message as a control frame, ready to be written to a connection.
 *
 * @param stream - The command's or request's stream; 0 for the connection itself.
 * @throws ProtocolError when a value does not fit its field or the message is longer than a control frame may be.
 */
export function encodeControlFrame(stream: number, message: Message): Buffer {
  return encodeFrame(stream, FrameKind.control, encodeMessage(message));
}
