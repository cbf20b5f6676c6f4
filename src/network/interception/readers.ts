/** All that reads connections. Loaded when the first one is to be read: it needs `node:tls`. */
export { interceptTls } from "./read-tls.ts";
export { readPlain } from "./read-plain.ts";
export { readTunnel } from "./tunnel/read-tunnel.ts";
export { passOn } from "./relay.ts";
