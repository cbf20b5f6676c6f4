/** The package that speaks SSH: a file of its own in `dist/`, which nobody reads who does not use SSH. See `load-library.ts`. */
import ssh2 from "ssh2";

export const { Client, Server, utils } = ssh2;
