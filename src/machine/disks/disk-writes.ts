import { RuntimeError } from "../../errors/index.ts";
import { asObject, type QmpClient } from "../qmp/qmp.ts";

/**
 * How often the guest has changed what is in a file, since the start of its machine: by writes, and by giving blocks up.
 *
 * @throws QmpError when QEMU does not answer; RuntimeError when no disk of the machine is that file
 */
export async function diskWrites(qmp: Pick<QmpClient, "execute">, path: string): Promise<number> {
  const nodes = list(await qmp.execute("query-named-block-nodes", { flat: true }));
  // The file itself is a node too, without a device.
  const names = nodes.filter(({ file }) => file === path).map((node) => node["node-name"]);
  const devices = list(await qmp.execute("query-blockstats"));
  const device = devices.find((one) => names.includes(one["node-name"]));
  const { wr_operations: writes, unmap_operations: discards } = Object(device?.["stats"]) as Counters;
  if (typeof writes !== "number" || typeof discards !== "number")
    throw new RuntimeError(`QEMU does not tell what its guest has written to ${path}`);
  return writes + discards;
}

/** QEMU's QAPI, BlockDeviceStats. */
interface Counters {
  readonly wr_operations?: unknown;
  readonly unmap_operations?: unknown;
}

function list(value: unknown): Readonly<Record<string, unknown>>[] {
  return (Array.isArray(value) ? value : []).map((one) => asObject(one) ?? {});
}
