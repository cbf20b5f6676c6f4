/** The gateway without a machine, which reads nothing: `node alone-gateway.ts CABLE MTU`. */
import { serveCable } from "./cable-gateway.ts";

const [cable = "", mtu = ""] = process.argv.slice(2);
await serveCable(cable, Number(mtu), null);
