import type { SuspensionRecord } from "../../src/store/suspension.ts";

/** What is written of a guest that was suspended under software emulation, with nothing open. */
export const suspensionSample: SuspensionRecord = {
  format: 1,
  source: null,
  checkpoint: null,
  notify: null,
  machineKey: "key",
  description: {
    qemuVersion: "7.2.0",
    accelerator: "tcg",
    kernelRelease: "6.1",
    kernel: "kernel",
    processor: null,
  },
  agentVersion: "1",
  authority: null,
  tscKhz: null,
  disks: [],
  open: { streams: [], next: 1, highest: 0 },
  commands: [],
};
