import type { IpAddress } from "../../host/ip/address.ts";

/** Where the two ends of the guest's cable are. */
export interface LinkAddresses {
  /** Six bytes. */
  readonly guestMac: Uint8Array;
  readonly gatewayMac: Uint8Array;
  /** null: the guest has none of that family. */
  readonly ipv4: { readonly guest: IpAddress; readonly gateway: IpAddress; readonly prefix: number } | null;
  readonly ipv6: { readonly guest: IpAddress; readonly gateway: IpAddress; readonly prefix: number } | null;
  /** Bytes of an IP packet. */
  readonly mtu: number;
}
