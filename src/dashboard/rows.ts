import type { PublishedPort, RootfsSource, SandboxHandle } from "../api/index.ts";
import type { PortRow, SandboxRow } from "./wire.ts";

export function rowOf(handle: SandboxHandle): SandboxRow {
  const { id, name, status, createdAt } = handle;
  const { image, cpus, memoryMib, labels, disableNetwork } = handle.config();
  return {
    ...{ id, name, status, cpus, memoryMib, labels },
    image: imageText(image),
    createdAt: createdAt.getTime(),
    ports: handle.publishedPorts.map(portRow),
    hasNetwork: !disableNetwork,
  };
}

export function portRow({ hostBind, hostPort, guestPort, protocol }: PublishedPort): PortRow {
  return { hostBind, hostPort, guestPort, protocol };
}

function imageText(image: string | RootfsSource): string {
  if (typeof image === "string") return image;
  return image.kind === "oci" ? image.reference : image.path;
}
