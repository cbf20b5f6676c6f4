import { InvalidConfigError } from "../../errors/index.ts";
import type { Platform } from "./platform.ts";
import { inheritedFds } from "./inherited-fds.ts";
import type { Accelerator, Disk, MachineSpec, Share } from "../types.ts";

/**
 * Every machine has the same devices, in use or not, because a saved one can be restored only into its like; what stands
 * behind a device may differ. Two disks for the root file system and four more; one share for the root and eight more.
 */
export const diskSlots = 6;
export const shareSlots = 9;

/** How the guest finds the share in this slot. */
export function shareTag(slot: number): string {
  return `share${slot}`;
}

/** What the guest finds under `/sys/class/virtio-ports/<port>/name`. */
const agentPortName = "org.microsandbox.agent";

/** Where the guest's relay finds whoever serves the host's directories. Nobody opens it in a sandbox without such a mount. */
const filesPortName = "org.microsandbox.files";

/**
 * The cable: frames over a socket, a length of four bytes before each. The card says that frames may be as large as IPv4 packets can be,
 * for want of any other way to move much with each; the guest is told which MTU to use, and which address.
 */
const networkArguments: readonly string[] = [
  "-netdev",
  `stream,id=network,server=off,addr.type=fd,addr.str=${inheritedFds.network}`,
  "-device",
  // The guest need not tell anybody that it goes on elsewhere.
  "virtio-net-device,netdev=network,mac=02:6d:73:00:00:02,host_mtu=65520,guest_announce=off",
];

/** Frequencies of the local APIC's timer that a guest goes on with, kHz. */
export interface TimerRange {
  readonly least: number;
  readonly most: number;
}

/** QEMU's local APIC counts in ns, of which Linux takes every 16th (Intel SDM 3A, 10.5.4: divide configuration). */
const timerKhz = 1_000_000 / 16;
/** One that is taken for slower rings too early and is set again, at some cost; one that is taken for faster rings too late. */
export const rightTimer: TimerRange = { least: timerKhz * 0.5, most: timerKhz * 1.05 };
/** On a host where a guest never gets a processor when it needs it. */
export const bearableTimer: TimerRange = { least: Math.ceil(timerKhz * 0.1), most: timerKhz * 2 };

/** What the agent says on the console of a kernel that takes it for another, before it ends the guest (timer.rs). */
export const wrongTimer = "the kernel's timer is wrong";

export interface CommandLineOptions {
  readonly platform: Platform;
  readonly accelerator: Accelerator;
  /** Frequency of the host's time stamp counter in kHz; null when unknown or not needed. */
  readonly tscKhz: number | null;
  /** What the guest may take its timer for, where it measures that; {@link bearableTimer} unless said otherwise. */
  readonly timer?: TimerRange;
  /** QEMU was built with seccomp. */
  readonly seccomp: boolean;
  /** Node's name of the host's operating system. */
  readonly hostSystem: string;
}

/**
 * QEMU's arguments for a machine.
 *
 * @throws InvalidConfigError for a disk whose serial number QEMU would cut off, or more disks or shares than there is room for
 */
export function qemuArguments(spec: MachineSpec, options: CommandLineOptions): string[] {
  const { platform, accelerator } = options;
  const isCaptured = spec.template?.captured === true;
  return [
    ...["-name", `guest=${escapeCommas(spec.name ?? "microsandbox")}`],
    // A captured state ends without a description of itself, which QEMU would miss, and say so.
    ...["-machine", `${platform.machine},memory-backend=memory${isCaptured ? ",suppress-vmdesc=on" : ""}`],
    ...platform.machineOptions,
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...["-accel", acceleratorOption(accelerator)],
    ...["-cpu", accelerator === "tcg" ? platform.emulatedProcessor : "host"],
    ...["-smp", String(spec.cpus)],
    ...["-m", `${spec.memoryMib}M`],
    ...["-object", memoryBackend(spec, options.hostSystem)],
    ...(spec.template?.restored === true ? ["-incoming", "defer"] : []),
    // A captured state has no section about the machine's configuration, nor about whether it ran: it goes on when it is told to.
    ...(isCaptured ? ["-S", "-global", "migration.send-configuration=off"] : []),
    ...(options.seccomp ? ["-sandbox", sandboxOption] : []),
    ...["-kernel", spec.kernel.vmlinux, "-initrd", spec.kernel.initramfs],
    ...["-append", kernelCommandLine(spec, options)],
    // A guest that reboots ends its machine: what it booted from belongs to this one start.
    "-no-reboot",
    ...(platform.panicDevice === null ? [] : ["-device", platform.panicDevice]),
    ...inheritedSocket("qmp", inheritedFds.qmp),
    ...["-mon", "chardev=qmp,mode=control"],
    ...inheritedSocket("console", inheritedFds.console),
    ...["-serial", "chardev:console"],
    ...inheritedSocket("agent", inheritedFds.agent),
    ...inheritedSocket("files", inheritedFds.files),
    // Port 0 is reserved for a console, so three are the least for two ports.
    ...["-device", "virtio-serial-device,max_ports=3"],
    ...["-device", `virtserialport,chardev=agent,name=${agentPortName}`],
    ...["-device", `virtserialport,chardev=files,name=${filesPortName}`],
    ...(spec.network === true ? networkArguments : []),
    ...slots("disks", spec.disks, diskSlots).flatMap(diskArguments),
    ...slots("shared directories", spec.shares ?? [], shareSlots).flatMap(shareArguments),
  ];
}

/** The kernel's command line. `panic=-1` reboots at once after a panic, which ends QEMU. */
export function kernelCommandLine(spec: MachineSpec, options: CommandLineOptions): string {
  const { platform, accelerator, tscKhz, timer: { least, most } = bearableTimer } = options;
  const words = [
    `console=${platform.serialConsole}`,
    "quiet",
    "loglevel=4",
    "panic=-1",
    // The kernel's tests of its own ciphers take a tenth of its boot under TCG.
    "cryptomgr.notests",
    ...platform.kernelArguments,
  ];
  // Under TCG the guest's time stamp counter is the host's, and the kernel's own measurement of it against an emulated
  // timer fails on a busy host and then boot never ends.
  if (accelerator === "tcg" && platform.name === "x86_64" && tscKhz !== null)
    // A vCPU that waits for a processor of the host looks like a clock that stood still: without tsc=reliable the kernel's
    // watchdog then gives the clock up for one of 4 ms (Documentation/admin-guide/kernel-parameters.txt). With that counter it
    // measures its timer, at a bad moment wrongly, and cannot be told how fast that is: the agent looks (timer.rs).
    words.push(`tsc_early_khz=${tscKhz}`, "tsc=reliable", `msb.lapic_khz=${least}-${most}`);
  // What works against speculation is lost when it is translated into other instructions, and takes its time all the same.
  if (accelerator === "tcg") words.push("mitigations=off");
  return [...words, ...spec.kernelArguments].join(" ");
}

/** In QEMU's option lists a comma ends a value; a doubled one stands for itself. */
export function escapeCommas(value: string): string {
  return value.replaceAll(",", ",,");
}

// See qemu(1), -sandbox: no new privileges, no child processes, no changes of its own scheduling, no obsolete calls.
const sandboxOption = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

function acceleratorOption(accelerator: Accelerator): string {
  // tb-size is the cache of translated code in MiB: QEMU's default is 1 GiB; 32 was seen to hang.
  return accelerator === "tcg" ? "tcg,tb-size=128,thread=multi" : accelerator;
}

function memoryBackend({ memoryMib, template }: MachineSpec, hostSystem: string): string {
  const size = `id=memory,size=${memoryMib}M`;
  if (template !== undefined) {
    const path = escapeCommas(template.memoryPath);
    return `memory-backend-file,${size},mem-path=${path},share=${template.shared ? "on" : "off"}`;
  }
  return `${hostSystem === "linux" ? "memory-backend-memfd" : "memory-backend-ram"},${size}`;
}

function slots<T>(what: string, used: readonly T[], count: number): (T | null)[] {
  if (used.length > count) {
    throw new InvalidConfigError(`a machine has at most ${count} ${what}, not ${used.length}`, {
      hint: "Use fewer.",
    });
  }
  return Array.from({ length: count }, (_, slot) => used[slot] ?? null);
}

function inheritedSocket(id: string, fd: number): string[] {
  return ["-chardev", `socket,id=${id},fd=${fd}`];
}

const longestSerial = 20;

/**
 * A disk as QEMU's block layer sees it. QEMU locks the files it opens: any number of machines can read one file, and a
 * machine that writes a file has it alone, so a disk that is in use twice by mistake is refused and not damaged.
 */
function diskArguments(disk: Disk | null, slot: number): string[] {
  const id = `disk${slot}`;
  if (disk === null) {
    const nothing = { driver: "null-co", "node-name": id, size: 0, "read-zeroes": true };
    return ["-blockdev", JSON.stringify(nothing), "-device", `virtio-blk-device,drive=${id}`];
  }
  if (!/^[\x21-\x7e]+$/.test(disk.serial) || disk.serial.length > longestSerial) {
    throw new InvalidConfigError(
      `the disk serial number ${JSON.stringify(disk.serial)} is not 1 to 20 ASCII characters`,
      {
        hint: "Shorten it; the guest finds its disks by these numbers.",
      },
    );
  }
  const discard = disk.readOnly ? "ignore" : "unmap";
  const node = {
    driver: disk.format,
    "node-name": id,
    "read-only": disk.readOnly,
    discard,
    "detect-zeroes": "off",
    // Whatever the image's header says; see also `disk-image.ts`.
    ...(disk.format === "raw" ? {} : { backing: null }),
    file: {
      driver: "file",
      filename: disk.path,
      "read-only": disk.readOnly,
      aio: "threads",
      discard,
      // Through the host's page cache, which all machines that read one file share; the guest's flushes are obeyed.
      cache: { direct: false, "no-flush": false },
    },
  };
  // A full disk of the host stops the machine, which then loses nothing: the write is done again when it goes on. Any other error
  // of the host's file system reaches the guest as an I/O error.
  const device = `virtio-blk-device,drive=${id},serial=${escapeCommas(disk.serial)},werror=enospc,rerror=report`;
  return ["-blockdev", JSON.stringify(node), "-device", device];
}

/**
 * `none` is QEMU's word for: as it is. The mapped models would show the guest's own owners and modes, but on the host turn its
 * symbolic links into files, and fail on the links that are there.
 */
function shareArguments(share: Share | null, slot: number): string[] {
  const id = `share${slot}`;
  const backend =
    share === null
      ? ["synth", `id=${id}`]
      : [
          "local",
          `id=${id}`,
          `path=${escapeCommas(share.path)}`,
          "security_model=none",
          // Mounts below the directory keep inode numbers of their own apart.
          "multidevs=remap",
          ...(share.readOnly ? ["readonly=on"] : []),
        ];
  const device = `virtio-9p-device,fsdev=${id},mount_tag=${shareTag(slot)}`;
  return ["-fsdev", backend.join(","), "-device", device];
}
