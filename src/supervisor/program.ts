import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import { inheritedWithSharedBuffer } from "../host/system/shared-read-buffer.ts";
import { encodeFailure } from "../protocol/failure.ts";
import { encodeControlFrame } from "../protocol/control.ts";
import { findSandbox } from "../store/sandboxes.ts";
import { locateHome } from "../store/home.ts";
import { lockFd, ownerFd } from "../start/contract/process.ts";
import type { Inherited } from "../start/prelaunch/prelaunch-qemu.ts";
import { startGuest } from "../start/start.ts";
import type { GuestSource } from "./sandbox-start.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * Owns a sandbox from its start to its end.
 *
 * @param inherited what this process was told, and the QEMU it has already started
 */
export async function supervise(name: string, attached: boolean, inherited: Inherited): Promise<void> {
  const home = locateHome();
  const owner = ownerConnection();
  let locked = true;
  const releaseLock = (): void => {
    if (locked) closeSync(lockFd);
    locked = false;
  };
  try {
    const sandbox = await findSandbox(home, name);
    const guest: GuestSource = {
      start: (request) => startGuest(request, inherited),
      abandon: () => {
        if (inherited.qemu.kind === "running") inherited.qemu.spawned.child.kill("SIGKILL");
      },
    };
    await Supervisor.run({ home, sandbox, owner, attached, guest, releaseLock });
  } catch (error) {
    // What keeps the supervisor from its work, such as a disk too full for a log, is told as every failed start is.
    releaseLock();
    const failure = encodeControlFrame(0, encodeFailure(error));
    await new Promise<void>((resolve) => owner.once("error", resolve).end(failure, resolve));
    throw error;
  }
}

/** Has a sandbox of a pool ready for somebody, and owns it from then on. */
export async function waitAsMember(pool: string): Promise<void> {
  const { PoolMember } = await import("./pool/pool-member.ts");
  await PoolMember.run(locateHome(), pool);
}

/** Answers what its owner asks about this host, until the owner leaves. */
export async function answerAboutHost(): Promise<void> {
  // A sandbox has no use for it.
  const { HostRequests } = await import("./host-requests.ts");
  await HostRequests.answer(ownerConnection(), locateHome());
}

function ownerConnection(): Socket {
  return inheritedWithSharedBuffer(ownerFd);
}
