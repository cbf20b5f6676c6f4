import { once } from "node:events";
import { open, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { pipeline } from "node:stream/promises";
import { stateFd } from "../qemu/inherited-fds.ts";
import {
  commandLine,
  enterCommandMode,
  QmpError,
  type QmpClient,
  type QmpCommand,
  type QmpEvent,
} from "../qmp/qmp.ts";

/**
 * Saving and restoring a machine whose memory is a file: QEMU's migration, with the memory left out
 * (docs/devel/migration.rst in QEMU's source; `x-ignore-shared` of qapi/migration.json).
 *
 * The state is saved while the machine runs: QEMU stops it at the end, and notes that it ran, so that a restored one goes on
 * by itself.
 */

const ignoreMemory: QmpCommand = [
  "migrate-set-capabilities",
  {
    capabilities: [
      { capability: "x-ignore-shared", state: true },
      // Else the end of a migration has to be asked for again and again.
      { capability: "events", state: true },
    ],
  },
];

/** What a machine that was started to be restored is told, in this order. */
export const restoreCommands: readonly QmpCommand[] = [
  ignoreMemory,
  // No frames that would tell a network where the machine is now.
  ["migrate-set-parameters", { "announce-rounds": 0 }],
  ["migrate-incoming", { uri: `fd:${stateFd}` }],
  // QEMU 7.2 looks at the file only when its main loop turns again, which takes another command.
  ["query-status"],
];

/**
 * The state of the devices of a machine that stands still, without ending it or letting go of its disks
 * (`xen-save-devices-state` of qapi/migration.json: the name is historical, it needs no Xen).
 *
 * @param statePath nothing may be there
 * @throws QmpError
 */
export async function captureState(qmp: QmpClient, statePath: string): Promise<void> {
  await qmp.execute("xen-save-devices-state", { filename: statePath, live: false });
}

/** What such a machine's monitor hears from the first word on. */
export const openingCommands: readonly QmpCommand[] = [enterCommandMode, ...restoreCommands];

/** The same as {@link QmpClient} would send it. */
export function openingLines(): string {
  return openingCommands.map((command, index) => commandLine(index + 1, command)).join("");
}

/** @throws QmpError when QEMU refuses or fails; IoError */
export async function saveState(qmp: QmpClient, statePath: string, socketPath: string): Promise<void> {
  const outcome = migrationOutcome(qmp);
  const server = createServer({ allowHalfOpen: true });
  try {
    server.listen(socketPath);
    await once(server, "listening");
    const received = once(server, "connection").then(async ([socket]: unknown[]) => {
      await using file = await open(statePath, "w", 0o600);
      await pipeline(socket as NodeJS.ReadableStream, file.createWriteStream());
    });
    received.catch(() => undefined);
    await qmp.execute(...ignoreMemory);
    await qmp.execute("migrate", { uri: `unix:${socketPath}` });
    await outcome.catch(async (error: unknown) => {
      // QEMU fails when what it sends cannot be taken: then that is the reason.
      await Promise.race([received, Promise.resolve()]);
      throw error;
    });
    await received;
  } finally {
    server.close();
    await rm(socketPath, { force: true });
  }
}

function migrationOutcome(qmp: QmpClient): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const note = ({ name, data }: QmpEvent): void => {
    if (name !== "MIGRATION") return;
    const status = String(data["status"]);
    if (status === "completed") resolve();
    else if (status === "failed" || status === "cancelled")
      reject(new QmpError(`QEMU could not save the machine: the migration ${status}`, "GenericError"));
  };
  qmp.events.on("event", note);
  void qmp.closed.then(() => {
    reject(new QmpError("QEMU ended while it saved the machine", null));
  });
  // A machine may be saved twice.
  const outcome = promise.finally(() => qmp.events.off("event", note));
  outcome.catch(() => undefined);
  return outcome;
}
