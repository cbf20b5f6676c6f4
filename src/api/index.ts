export * from "../errors/index.ts";
export type { AttachConfig, ExecConfig } from "./commands.ts";
export { diagnose, type Diagnosis, type DiagnosisItem } from "./diagnose.ts";
export {
  DiskImageFormats,
  LogLevels,
  PullPolicies,
  RootfsSourceKinds,
  SandboxStatuses,
  ThpModes,
  type DiskImageFormat,
  type LogLevel,
  type PullPolicy,
  type RootfsSourceKind,
  type SandboxStatus,
  type ThpMode,
} from "./enums.ts";
export type { EnvInput, EnvPair } from "./env.ts";
export { ExecHandle, type ExecEvent } from "./exec-handle.ts";
export {
  AttachOptionsBuilder,
  ExecOptionsBuilder,
  type AttachOptions,
  type ExecOptions,
} from "./exec-options.ts";
export { ExecOutput, type ExitStatus } from "./exec-output.ts";
export { ExecSink } from "./exec-sink.ts";
export { allSandboxMetrics, type ListedSandboxes } from "./list.ts";
export { SandboxListBuilder, type SandboxPage } from "./list-builder.ts";
export { LogEntry, type LogReadOptions, type LogReadSource, type LogSource } from "./log-entry.ts";
export type { BootErrorReport } from "./logs.ts";
export { LogStream, type LogStreamOptions } from "./log-stream.ts";
export { MetricsStream, type SandboxMetrics } from "./metrics.ts";
export { Image, ImageHandle, type ImageDetail } from "./image.ts";
export type {
  ImageConfigDetail,
  ImageLayerDetail,
  ImageLoadOptions,
  ImagePruneReport,
  ImageRemoveOptions,
  ImageSaveOptions,
} from "./image-types.ts";
export { ImageBuilder, type ImageChoice } from "./image-builder.ts";
export type { CreateObserver, PullProgress, StartObserver, StartProgressEvent } from "./progress.ts";
export { PullProgressCreate, PullProgressStream } from "./pull-progress-create.ts";
export {
  RegistryAuthKinds,
  RegistryConfigBuilder,
  type RegistryAuth,
  type RegistryAuthKind,
  type RegistryConfig,
  type RegistryInput,
} from "./registry-config.ts";
export type { Rlimit, RlimitResource } from "./rlimits.ts";
export { RootDiskBuilder, type RootDisk, type RootDiskInput } from "./root-disk-builder.ts";
export { intoRootfsSource, type RootfsSource } from "./rootfs-source.ts";
export { Sandbox } from "./sandbox.ts";
export { SandboxBuilder } from "./sandbox-builder.ts";
export type { SandboxConfig } from "./sandbox-config.ts";
export type { SandboxPingResult, SandboxStopResult, SandboxTouchResult } from "./sandbox-control.ts";
export type { SandboxConfigInput } from "./config-object.ts";
export { SandboxHandle } from "./sandbox-handle.ts";
export { GiB, KiB, MiB, TiB, type Mebibytes } from "./sizes.ts";
export type { DestroyOptions, RestartOptions } from "./start.ts";
export { Stdin, type StdinMode } from "./stdin.ts";
