export * from "../errors/index.ts";
export { SandboxFsError as SandboxFsOpsError } from "../errors/index.ts";
export type { AttachConfig, ExecConfig } from "./exec/sandbox-commands.ts";
export {
  defaultBackendInfo,
  defaultBackendKind,
  setDefaultBackend,
  withDefaultBackend,
  type BackendInfo,
  type DefaultBackend,
} from "./setup/backend.ts";
export { install, isInstalled, setup, Setup } from "./setup/install.ts";
export { setRuntimeLibkrunfwPath } from "./setup/runtime-kernel.ts";
export { diagnose, type Diagnosis, type DiagnosisItem } from "./setup/diagnose.ts";
export {
  DeploymentProfiles,
  DiskImageFormats,
  LogLevel,
  LogLevels,
  PatchKinds,
  PullPolicies,
  GuestFlushes,
  PausedCallsKinds,
  RootfsSourceKinds,
  SandboxStatuses,
  HostShutdowns,
  ThpModes,
  ViolationAction,
  ViolationActions,
  type CpuPlacement,
  type DeploymentProfile,
  type DiskImageFormat,
  type GuestFlush,
  type PatchKind,
  type PausedCalls,
  type PullPolicy,
  type RootfsSourceKind,
  type SandboxStatus,
  type HostShutdown,
  type ThpMode,
} from "../config/enums.ts";
export { SandboxPool, type PoolStatus } from "./pool/pool.ts";
export type { PoolOptions, PoolWarm, TakeOptions } from "./pool/pool-options.ts";
export type { SecretsInput } from "./providers/given-secrets.ts";
export type { HooksInput } from "./providers/run-hooks.ts";
export type {
  ModificationDisposition,
  ModificationPolicy,
  ModificationRemark,
  ModifyOptions,
  SandboxModificationPlan,
  SecretModifySpec,
  SecretPlannedChange,
} from "./modify/modification-plan.ts";
export { SandboxSshOps, type SshClientOptions, type SshServerOptions } from "./ssh/ssh-ops.ts";
export {
  SshClient,
  type SshAttachOptions,
  type SshExecOptions,
  type SshOutput,
} from "../ssh/client/ssh-client.ts";
export { SshCommand, type SshCommandEvent } from "../ssh/client/ssh-command.ts";
export { SftpClient } from "../ssh/client/sftp-client.ts";
export { SshServer, type SshPortAddress, type SshSocketAddress } from "../ssh/server/ssh-server.ts";
export type { WaitOptions } from "../host/operation.ts";
export {
  SandboxEventKinds,
  type EmitResult,
  type EventData,
  type EventOptions,
  type SandboxEventKind,
} from "./events/event-types.ts";
export { SandboxEvents } from "./events/sandbox-events.ts";
export { Subscription, type EventCallback } from "./events/subscription.ts";
export type { EnvInput, EnvPair } from "../config/env.ts";
export type { PairsInput } from "../config/pairs.ts";
export { ExecEventType, type ExecEvent } from "./exec/exec-event.ts";
export { ExecHandle, type CollectOptions } from "./exec/exec-handle.ts";
export {
  AttachOptionsBuilder,
  ExecOptionsBuilder,
  type AttachOptions,
  type ExecOptions,
} from "./exec/exec-options.ts";
export { Job, type JobAttachOptions } from "./jobs/job.ts";
export { JobAttachment, type JobEvent } from "./jobs/job-attachment.ts";
export type { JobInfo, JobResult, JobState } from "./jobs/job-info.ts";
export { JobLogStream } from "./jobs/job-logs.ts";
export type { FsCopyOptions, FsCopyProgress } from "./fs/copy/copy-options.ts";
export type { HostPath } from "./fs/copy/host-path.ts";
export type { FsData } from "./fs/contents.ts";
export { FsReadStream } from "./fs/fs-read-stream.ts";
export type { GuestFsEntry, GuestFsMetadata } from "./fs/guest-entry.ts";
export { FsChangeKinds, FsWatcher, type FsChange, type FsChangeKind } from "./fs/fs-watcher.ts";
export { FsWriteSink } from "./fs/fs-write-sink.ts";
export type { GuestPath } from "./fs/guest-path.ts";
export {
  SandboxFs,
  SandboxFs as SandboxFsOps,
  type FsReadOptions,
  type FsWriteOptions,
} from "./fs/sandbox-fs.ts";
export type { FsLinkOptions, FsMkdirOptions, FsTimes } from "./fs/fs-paths.ts";
export { ExecOutput, type ExitStatus } from "./exec/exec-output.ts";
export { ExecSink } from "./exec/exec-sink.ts";
export { allSandboxMetrics, type ListedSandboxes } from "./sandbox/list.ts";
export { SandboxListBuilder, type SandboxPage } from "./sandbox/list-builder.ts";
export { LogEntry, type LogReadOptions, type LogReadSource, type LogSource } from "./logs/log-entry.ts";
export type { BootErrorReport } from "./logs/read-logs.ts";
export type { ChangeSelection, SandboxChange } from "./overlay/chosen-changes.ts";
export type { ApplyChangesOptions, ApplyProgress, DiscardChangesOptions } from "./overlay/sandbox-changes.ts";
export { LogStream, type LogStreamOptions } from "./logs/log-stream.ts";
export { MetricsStream, type SandboxMetrics } from "./metrics/metrics.ts";
export { Image, ImageHandle, type ImageDetail } from "./images/image.ts";
export type {
  ImageConfigDetail,
  ImageLayerDetail,
  ImageLoadOptions,
  ImagePruneReport,
  ImageRemoveOptions,
  ImageSaveOptions,
} from "./images/image-types.ts";
export { ImageBuilder, type ImageChoice } from "../config/image-builder.ts";
export type {
  CreateObserver,
  PullProgress,
  PullProgress as PullProgressEvent,
  StartObserver,
  StartProgressEvent,
  StartReport,
} from "./sandbox/progress.ts";
export { PullProgressCreate, PullProgressStream } from "./sandbox/pull-progress-create.ts";
export {
  RegistryAuthKinds,
  RegistryConfigBuilder,
  type RegistryAuth,
  type RegistryAuthKind,
  type RegistryConfig,
  type RegistryInput,
} from "../config/registry-config.ts";
export {
  Patch,
  type CopyPatchOptions,
  type PatchConfig,
  type PatchOptions,
} from "../config/patches/patch.ts";
export { PatchBuilder } from "../config/patches/patch-builder.ts";
export { DnsBuilder } from "../config/network/builders/dns-builder.ts";
export { InterfaceOverridesBuilder } from "../config/network/builders/interface-builder.ts";
export { NetworkBuilder, type PortOptions } from "../config/network/builders/network-builder.ts";
export {
  HttpProxyBuilder,
  OutboundProxyBuilder,
  Socks4ProxyBuilder,
  Socks5ProxyBuilder,
} from "../config/network/proxy/proxy-builder.ts";
export {
  NetworkRateLimiterBuilder,
  RateLimiterBuilder,
} from "../config/network/builders/rate-limiter-builder.ts";
export type { DnsInput, NetworkObject } from "../config/network/network-object.ts";
export type { NetworkInput } from "../config/network/network-setting.ts";
export type {
  DnsSettings as DnsConfig,
  InterfaceSettings as InterfaceConfig,
  NetworkSettings as NetworkConfig,
} from "../config/network/network-settings.ts";
export type {
  NetworkRateLimiterConfig,
  OutboundProxy,
  PublishedPort,
  RateLimiterConfig,
  TokenBucketConfig,
} from "../config/network/network-type.ts";
export { HttpBuilder } from "../config/network/interception/builders/http-builder.ts";
export type { HttpInput, HttpRuleInput } from "../config/network/interception/builders/http-object.ts";
export { SecretBuilder } from "../config/network/interception/builders/secret-builder.ts";
export {
  Secret,
  type SecretInput,
  type SecretOptions,
} from "../config/network/interception/builders/secret-object.ts";
export { TlsBuilder } from "../config/network/interception/builders/tls-builder.ts";
export type { TlsInput } from "../config/network/interception/builders/tls-object.ts";
export {
  ViolationActionBuilder,
  type ViolationInput,
} from "../config/network/interception/builders/violation-builder.ts";
export type {
  ChangedRequest,
  ChangedResponse,
  HookBody,
  HookContext,
  HookedField,
  HookedRequest,
  HookedRequestHead,
  HookedResponse,
  HookHeaders,
  MadeResponse,
  RequestHook,
  ResponseHook,
} from "../config/network/interception/http-hooks.ts";
export type { HttpConfig, HttpRule } from "../config/network/interception/http-type.ts";
export type {
  ExpiringSecret,
  SecretProvider,
  SecretRequest,
} from "../config/network/interception/secret-material.ts";
export type { SecretEntry } from "../config/network/interception/secret-settings.ts";
export { SecretSource, type SecretInjection } from "../config/network/interception/secret-type.ts";
export type { TlsSettings as TlsConfig } from "../config/network/interception/tls-settings.ts";
export type { ViolationSetting } from "../config/network/interception/violation-setting.ts";
export {
  NetworkPolicy,
  NetworkProfiles,
  type NetworkProfile,
} from "../config/network/policy/network-policy.ts";
export type {
  PolicyRuleInput,
  PolicyRuleInput as PolicyRule,
  PresetName,
} from "../config/network/policy/policy-object.ts";
export { NetworkPolicyBuilder } from "../config/network/policy/policy-builder.ts";
export { RuleBuilder } from "../config/network/policy/rule-builder.ts";
export { RuleDestinationBuilder } from "../config/network/policy/destination-builder.ts";
export {
  Destination,
  DestinationGroups,
  PolicyAction,
  PolicyDirection,
  PolicyProtocol,
  PortRange,
  Rule,
} from "../config/network/policy/rules.ts";
export type { WireDestination, WirePolicy, WireRule } from "../config/network/policy/wire-policy.ts";
export type { DestinationGroup, RuleDirection, RuleProtocol } from "../config/network/policy-type.ts";
export type { PortInput, PortsInput } from "../config/network/ports.ts";
export type { OutboundProxyInput, ProxyInput } from "../config/network/proxy/proxy.ts";
export type { PasswordSource } from "../config/network/proxy/proxy-values.ts";
export type { Rlimit, RlimitResource } from "../config/rlimits.ts";
export { RootDiskBuilder, type RootDiskInput } from "../config/root-disk-builder.ts";
export type { RootDisk } from "../config/root-disk.ts";
export { intoRootfsSource, type RootfsSource } from "../config/rootfs-source.ts";
export { Sandbox } from "./sandbox/entry.ts";
export { SandboxBuilder } from "./config/sandbox-builder.ts";
export type { SandboxConfig } from "../config/sandbox/sandbox-config.ts";
export type { PauseOptions, SandboxPingResult, SandboxTouchResult } from "./control/sandbox-control.ts";
export type { SandboxStopResult } from "./control/stop-result.ts";
export type { SandboxConfigInput } from "../config/sandbox/config-object.ts";
export { SandboxHandle } from "./sandbox/sandbox.ts";
export { GiB, KiB, MiB, TiB, type Mebibytes } from "../config/sizes.ts";
export type { DestroyOptions, RestartOptions, StartOptions } from "./sandbox/start.ts";
export { Stdin, type StdinMode } from "./exec/stdin.ts";
export { FsEntryKind, FsEntryKinds, type FsEntry, type FsMetadata } from "./fs/fs-types.ts";
export {
  VolumeKinds,
  type VolumeConfig,
  type VolumeConfigInput,
  type VolumeKind,
} from "../config/volumes/volume-config.ts";
export type { SnapshotConfig } from "../config/snapshots/snapshot-config.ts";
export { SnapshotBuilder } from "./snapshots/snapshot-builder.ts";
export type { Checkpoint, CheckpointOptions, RollbackOptions } from "./checkpoints/checkpoint.ts";
export type { ForkOptions, ForkResult } from "./fork/fork-options.ts";
export { Snapshot } from "./snapshots/entry.ts";
export { SnapshotHandle, type SnapshotRemoveOptions } from "./snapshots/snapshot-handle.ts";
export type { ExportOpts, SaveOpts } from "./snapshots/save-to.ts";
export { RestoreBuilder } from "./snapshots/restore/restore-builder.ts";
export type {
  SnapshotCopyOptions,
  SnapshotMemory,
  SnapshotScope,
  SnapshotState,
  SnapshotVerifyReport,
} from "./snapshots/snapshot.ts";
export { Storage } from "./storage/storage.ts";
export type {
  DiskUsage,
  SandboxPart,
  SandboxStorageUsage,
  SnapshotPart,
  SnapshotStorageUsage,
  StorageKind,
  StorageKindUsage,
  StoragePruneOptions,
  StoragePruneReport,
  StorageUsage,
} from "./storage/storage-types.ts";
export { VolumeBuilder } from "./volumes/volume-builder.ts";
export { Volume, type VolumePruneReport } from "./volumes/entry.ts";
export { VolumeFs, type VolumeFsEntry } from "./volumes/volume-fs.ts";
export { VolumeHandle } from "./volumes/volume-handle.ts";
export type { VolumeHandle as VolumeInfo } from "./volumes/volume-handle.ts";
export { VolumeFsReadStream, VolumeFsWriteSink } from "./volumes/volume-streams.ts";
export type {
  AttributeChange,
  FileProvider,
  NewAttributes,
  ProvidedEntry,
  ProvidedSpace,
  ProvidedStat,
  ProviderCall,
  ProviderFailure,
} from "../provider/file-provider.ts";
export { memory, type MemoryOptions, type MemoryProvider } from "../provider/made/memory.ts";
export { readOnly } from "../provider/made/read-only.ts";
export { union } from "../provider/made/union.ts";
export type { GivenProvider, ProviderOptions } from "../config/mounts/given-provider.ts";
export { Mount, type MountConfig } from "../config/mounts/mount-config.ts";
export { MountBuilder } from "../config/mounts/mount-builder.ts";
export {
  HostPermissionsList,
  NamedVolumeModes,
  StatVirtualizations,
  VolumeMountKinds,
  type BindMount,
  type DiskMount,
  type HostPermissions,
  type NamedMount,
  type NamedVolumeMode,
  type ProviderMount,
  type SharedFiles,
  type StatVirtualization,
  type TmpfsMount,
  type VolumeMount,
  type VolumeMountKind,
} from "../config/mounts/volume-mount.ts";
export type { NetworkEventOptions } from "./network/network-events.ts";
export type { NetworkTotals, OpenFlow, SandboxNetworkStatus } from "./network/network-status.ts";
export type { NetworkChanges, NetworkUpdateOptions, PublishedPortName } from "./network/update-network.ts";
export type { SuggestPolicyOptions } from "./network/networked-sandbox.ts";
export type { GuestConnectionOptions } from "./network/connect-guest.ts";
export type { ConnectorOptions, GuestConnector } from "./network/guest-agent.ts";
export type { GuestConnection } from "./network/guest-socket.ts";
export type {
  DnsAnswered,
  EventsLost,
  FlowClosed,
  FlowDenied,
  FlowOpened,
  NetworkEvent,
  NetworkLogEvent,
  PolicyInForce,
} from "../network/events.ts";
