import type { PublishedPort } from "../../../config/network/network-type.ts";
import { placeOf } from "../../../config/network/ports.ts";
import { IoError } from "../../../errors/index.ts";

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another program listens there. Choose another port of the host, or 0 for one that is free.",
  EADDRNOTAVAIL:
    "No interface of this host has that address. Bind to one that it has, to 0.0.0.0 or to 127.0.0.1.",
  EACCES:
    "This user may not listen on it (on Linux, ports below 1024 belong to root). Choose one from 1024 on.",
  EPERM:
    "This user may not listen on it (on Linux, ports below 1024 belong to root). Choose one from 1024 on.",
};

/** Why a port cannot be published, in words. */
export function bindError(port: PublishedPort, cause: unknown): IoError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  const hint = hints[code] ?? "Choose another address or port of the host.";
  const why = code === "EADDRINUSE" ? "it is in use" : message;
  return new IoError(`port ${placeOf(port)} cannot be published: ${why}`, { hint, cause });
}
