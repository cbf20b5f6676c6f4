/**
 * What a file of tests with real machines needs. Each one says so itself, `export const needs: Needs = ["running"];`, and
 * `scripts/test-vm.ts` reads that without running the file: the tags decide in which rounds it runs, beside what, and what the
 * host must have.
 */

/** `templates`: sandboxes start as they do by default. `cold`: every sandbox boots its kernel. */
export type Round = "templates" | "cold";

/** How machines come up in the file. It has exactly one of these. */
export const startTags = {
  /** Sandboxes that run, however they came up: what they are asked to do does not depend on it. */
  running: ["templates"],
  /** Sandboxes whose start, root, limits or end may be another one after a boot. */
  boots: ["templates", "cold"],
  /** Only sandboxes that have booted. */
  cold: ["cold"],
  /** Templates. The file says itself, sandbox by sandbox, whether there are any. */
  template: ["templates"],
  /** Machines without a sandbox. */
  machine: ["templates"],
} as const satisfies Record<string, readonly Round[]>;

/** What else it needs: the programs that have to be found. */
export const hostTags = {
  /** File systems of its own that are small, full or read-only. */
  "disk-full": ["mount", "umount"],
  /** A registry and images that it pushes there. */
  registry: ["docker-registry", "skopeo"],
  /** A second opinion on disks and file systems. */
  disks: ["mke2fs", "e2fsck", "debugfs", "qemu-img", "fsck.erofs"],
  /** Programs whose clock is wrong. */
  clock: ["faketime"],
  /** Programs of the host's own, which the guest runs from a mount. */
  programs: ["git", "make", "gcc", "python3", "sqlite3", "apt-get"],
  /** A network of its own, and a Debian for both of its sides. */
  internet: ["unshare", "ip", "mmdebstrap", "openssl", "cc", "npm"],
  /** A browser that shows the dashboard. */
  browser: ["chromium"],
  /** A program of its own in the guest. */
  rust: ["rustc"],
  /** Clients of SSH. */
  ssh: ["ssh", "ssh-keygen", "scp", "sftp", "rsync", "git"],
  /** Hardware acceleration; where there is none its tests are skipped. */
  kvm: [],
  /** That nothing else runs: it compares times or processor shares, or fills the host by itself. */
  alone: [],
} as const satisfies Record<string, readonly string[]>;

export type StartTag = keyof typeof startTags;
export type HostTag = keyof typeof hostTags;
export type Needs = readonly [StartTag, ...HostTag[]];
