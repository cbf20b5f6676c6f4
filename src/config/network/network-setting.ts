import { built } from "../checks.ts";
import type { SettingType } from "../settings/setting.ts";
import { NetworkBuilder } from "./builders/network-builder.ts";
import { askedByObject, type NetworkObject } from "./network-object.ts";
import { joinNetworks, type AskedNetwork } from "./network-settings.ts";

/** A network as an object, or as a function says to a builder. */
export type NetworkInput = NetworkObject | ((network: NetworkBuilder) => NetworkBuilder);

/** Several of them are put together. */
export const networkType: SettingType<AskedNetwork, NetworkInput> = {
  form: { kind: "structure" },
  values: "policy, DNS, interface, limits, interception, secrets, see [network](network.md)",
  check: (name, input) =>
    typeof input === "function"
      ? built(name, input, new NetworkBuilder()).asked()
      : askedByObject(name, input),
  join: joinNetworks,
};
