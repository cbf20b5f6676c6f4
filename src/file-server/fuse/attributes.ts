import type { BigIntStats } from "node:fs";
import { writeU64 } from "./reply.ts";

/** What the guest is told of a file beside {@link FileFacts}. */
export interface GuestView {
  /** Inode number: of the file's own file system, told apart from others. */
  readonly ino: bigint;
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
}

const second = 1_000_000_000n;

/** What is said of a file as whoever has it knows it. Times in ns since 1970, `blocks` of 512 bytes. */
export type FileFacts = Pick<
  BigIntStats,
  "size" | "blocks" | "atimeNs" | "mtimeNs" | "ctimeNs" | "nlink" | "blksize"
>;

/** Writes a `fuse_attr`, 88 bytes. */
export function writeAttributes(target: Buffer, at: number, stat: FileFacts, view: GuestView): void {
  target.writeBigUInt64LE(view.ino, at);
  target.writeBigUInt64LE(stat.size, at + 8);
  target.writeBigUInt64LE(stat.blocks, at + 16);
  writeTime(target, at + 24, at + 48, stat.atimeNs);
  writeTime(target, at + 32, at + 52, stat.mtimeNs);
  writeTime(target, at + 40, at + 56, stat.ctimeNs);
  target.writeUInt32LE(view.mode, at + 60);
  target.writeUInt32LE(Number(stat.nlink) >>> 0, at + 64);
  target.writeUInt32LE(view.uid, at + 68);
  target.writeUInt32LE(view.gid, at + 72);
  target.writeUInt32LE(view.rdev, at + 76);
  target.writeUInt32LE(Number(stat.blksize), at + 80);
  target.writeUInt32LE(0, at + 84);
}

function writeTime(target: Buffer, secondsAt: number, nanosecondsAt: number, time: bigint): void {
  let seconds = time / second;
  let rest = time % second;
  if (rest < 0n) {
    seconds -= 1n;
    rest += second;
  }
  target.writeBigInt64LE(seconds, secondsAt);
  target.writeUInt32LE(Number(rest), nanosecondsAt);
}

/** Writes how long something may be believed, in ms, as `secondsAt` and `nanosecondsAt` of a `fuse_entry_out` or `fuse_attr_out`. */
export function writeValidity(target: Buffer, secondsAt: number, nanosecondsAt: number, ms: number): void {
  writeU64(target, Math.floor(ms / 1000), secondsAt);
  target.writeUInt32LE((ms % 1000) * 1_000_000, nanosecondsAt);
}
