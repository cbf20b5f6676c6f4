/** Descriptors that QEMU inherits, each one end of a socket pair. No socket of QEMU has a path that others could open. */
export const inheritedFds = { qmp: 3, console: 4, agent: 5, files: 8, network: 9 } as const;

/** In machines that are restored: the file with the state of the devices. 6 may be the lifeline's, 8 is the port of files. */
export const stateFd = 7;
