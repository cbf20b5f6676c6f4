import { GuestFiles, type FilesOwner } from "../../src/api/fs/guest-files.ts";
import { Operation } from "../../src/host/operation.ts";
import { FrameKind } from "../../src/protocol/frame.ts";
import type { Message, TreeEntry } from "../../src/protocol/generated/messages.ts";
import type { Stream } from "../../src/protocol/stream.ts";
import { encodeData, encodeEntry } from "../../src/protocol/tree-records.ts";
import { subscribedSupervisor } from "./subscribed-supervisor.ts";

/** A record of a tree. @param path bytes, as latin1 */
export function entry(path: string, more: Partial<TreeEntry> = {}): Buffer {
  return encodeEntry({
    path: Buffer.from(path, "latin1"),
    kind: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    target: Buffer.alloc(0),
    ...more,
  });
}

export const directory = (path: string): Buffer => entry(path, { kind: "directory", mode: 0o755 });

export const link = (path: string, target: string): Buffer =>
  entry(path, { kind: "symlink", target: Buffer.from(target) });

export function file(path: string, contents: string): Buffer {
  const bytes = Buffer.from(contents);
  return Buffer.concat([entry(path, { size: bytes.length }), encodeData(bytes.length), bytes]);
}

/**
 * The files of a guest that answers whoever asks for a tree with these records, whatever they are.
 *
 * @param last what it says at the end; by default that all is well
 */
export function guestWithTree(records: readonly Buffer[], last?: (stream: Stream) => void): GuestFiles {
  const control = guestThat((stream, { type }) => {
    if (type !== "TreeSend") return;
    stream.send({ type: "FileOpened", size: 0 });
    const bytes = Buffer.concat(records);
    for (let at = 0; at < bytes.length; at += 65_536)
      stream.sendData(FrameKind.data, bytes.subarray(at, at + 65_536));
    const done = { type: "TreeDone", problemCount: 0, problems: [] } as const;
    if (last === undefined) stream.send(done);
    else last(stream);
  });
  return new GuestFiles(control);
}

/** The way to the files of a guest that answers as it is told, messages and what it has been sent. */
export function guestThat(
  answer: (stream: Stream, message: Message) => void,
  ended?: (stream: Stream, data: Buffer) => void,
): FilesOwner {
  return filesOwner(subscribedSupervisor(answer, ended).borrow);
}

/** Whose files they are, where there is no sandbox. @param borrow its connection, such as that of `subscribedSupervisor()` */
export function filesOwner(borrow: FilesOwner["borrow"]): FilesOwner {
  return {
    borrow,
    explainLoss: (answer) => answer,
    run: (verb, options, work, others) => Operation.run(verb, options, work, others),
  };
}
