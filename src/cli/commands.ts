import { alsoAs, type AnyCommand } from "./grammar/command.ts";
import type { CommandEntries, CommandFamily } from "./grammar/entries.ts";

const sandboxes = "Sandboxes:";
const inspection = "Inspection:";
const images = "Images:";
const storage = "Storage:";
const other = "Other:";

const pullImage = async (): Promise<AnyCommand> => (await import("./commands/image/image-pull.ts")).imagePull;
const listImages = async (): Promise<AnyCommand> =>
  (await import("./commands/image/image-list.ts")).imageList;
const removeImage = async (): Promise<AnyCommand> =>
  (await import("./commands/image/image-remove.ts")).imageRemove;
const loadImage = async (): Promise<AnyCommand> => (await import("./commands/image/image-load.ts")).imageLoad;
const saveImage = async (): Promise<AnyCommand> => (await import("./commands/image/image-save.ts")).imageSave;

const imageFamily: CommandFamily = {
  names: ["image"],
  group: images,
  summary: "Pull, list, remove, load and save images",
  members: [
    { names: ["pull"], group: images, load: pullImage },
    { names: ["list", "ls"], group: images, load: listImages },
    {
      names: ["inspect"],
      group: images,
      load: async () => (await import("./commands/image/image-inspect.ts")).imageInspect,
    },
    { names: ["remove", "rm"], group: images, load: removeImage },
    { names: ["load"], group: images, load: loadImage },
    { names: ["save"], group: images, load: saveImage },
    {
      names: ["prune"],
      group: images,
      load: async () => (await import("./commands/image/image-prune.ts")).imagePrune,
    },
  ],
};

const registryFamily: CommandFamily = {
  names: ["registry"],
  group: images,
  summary: "Log in to registries",
  members: [
    {
      names: ["login"],
      group: images,
      load: async () => (await import("./commands/registry/registry-login.ts")).registryLogin,
    },
    {
      names: ["logout"],
      group: images,
      load: async () => (await import("./commands/registry/registry-logout.ts")).registryLogout,
    },
    {
      names: ["list", "ls"],
      group: images,
      load: async () => (await import("./commands/registry/registry-list.ts")).registryList,
    },
  ],
};

const volumeFamily: CommandFamily = {
  names: ["volume", "vol"],
  hiddenNames: ["volumes", "vols"],
  group: storage,
  summary: "Create, list and remove named volumes",
  members: [
    {
      names: ["create"],
      group: storage,
      load: async () => (await import("./commands/volume/volume-create.ts")).volumeCreate,
    },
    {
      names: ["list", "ls"],
      group: storage,
      load: async () => (await import("./commands/volume/volume-list.ts")).volumeList,
    },
    {
      names: ["inspect"],
      group: storage,
      load: async () => (await import("./commands/volume/volume-inspect.ts")).volumeInspect,
    },
    {
      names: ["remove", "rm"],
      group: storage,
      load: async () => (await import("./commands/volume/volume-remove.ts")).volumeRemove,
    },
    {
      names: ["prune"],
      group: storage,
      load: async () => (await import("./commands/volume/volume-prune.ts")).volumePrune,
    },
  ],
};

const snapshotFamily: CommandFamily = {
  names: ["snapshot", "snap"],
  hiddenNames: ["snapshots", "snaps"],
  group: storage,
  summary: "Capture sandboxes, verify, save, load and remove them",
  members: [
    {
      names: ["create"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-create.ts")).snapshotCreate,
    },
    {
      names: ["list", "ls"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-list.ts")).snapshotList,
    },
    {
      names: ["inspect"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-inspect.ts")).snapshotInspect,
    },
    {
      names: ["verify"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-verify.ts")).snapshotVerify,
    },
    {
      names: ["remove", "rm"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-remove.ts")).snapshotRemove,
    },
    {
      names: ["reindex"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-reindex.ts")).snapshotReindex,
    },
    {
      names: ["save"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-save.ts")).snapshotSave,
    },
    {
      names: ["load"],
      group: storage,
      load: async () => (await import("./commands/snapshot/snapshot-load.ts")).snapshotLoad,
    },
  ],
};

const checkpointFamily: CommandFamily = {
  names: ["checkpoint"],
  hiddenNames: ["checkpoints"],
  group: storage,
  summary: "Note moments of running sandboxes to go back to, list and remove them",
  members: [
    {
      names: ["create"],
      group: storage,
      load: async () => (await import("./commands/checkpoint/checkpoint-create.ts")).checkpointCreate,
    },
    {
      names: ["list", "ls"],
      group: storage,
      load: async () => (await import("./commands/checkpoint/checkpoint-list.ts")).checkpointList,
    },
    {
      names: ["remove", "rm"],
      group: storage,
      load: async () => (await import("./commands/checkpoint/checkpoint-remove.ts")).checkpointRemove,
    },
  ],
};

const poolFamily: CommandFamily = {
  names: ["pool"],
  group: sandboxes,
  summary: "Keep sandboxes ready that are started ahead",
  members: [
    {
      names: ["create"],
      group: sandboxes,
      load: async () => (await import("./commands/pool/pool-create.ts")).poolCreate,
    },
    {
      names: ["list", "ls"],
      group: sandboxes,
      load: async () => (await import("./commands/pool/pool-list.ts")).poolList,
    },
    {
      names: ["remove", "rm"],
      group: sandboxes,
      load: async () => (await import("./commands/pool/pool-remove.ts")).poolRemove,
    },
  ],
};

const sshFamily: CommandFamily = {
  names: ["ssh"],
  group: sandboxes,
  summary: "Open a shell in a sandbox, serve SSH for others, and authorize keys",
  defaultMember: "connect",
  members: [
    {
      names: ["connect"],
      group: sandboxes,
      load: async () => (await import("./commands/ssh/ssh-connect.ts")).sshConnect,
    },
    {
      names: ["serve"],
      group: sandboxes,
      load: async () => (await import("./commands/ssh/ssh-serve.ts")).sshServe,
    },
    {
      names: ["authorize"],
      group: sandboxes,
      load: async () => (await import("./commands/ssh/ssh-authorize.ts")).sshAuthorize,
    },
    {
      names: ["config"],
      group: sandboxes,
      load: async () => (await import("./commands/ssh/ssh-config.ts")).sshConfig,
    },
  ],
};

const networkFamily: CommandFamily = {
  names: ["net"],
  group: inspection,
  summary: "Watch and change the network of a running sandbox",
  members: [
    {
      names: ["list", "ls"],
      group: inspection,
      load: async () => (await import("./commands/network/net-list.ts")).netList,
    },
    {
      names: ["events"],
      group: inspection,
      load: async () => (await import("./commands/network/net-events.ts")).netEvents,
    },
    {
      names: ["suggest"],
      group: inspection,
      load: async () => (await import("./commands/network/net-suggest.ts")).netSuggest,
    },
    {
      names: ["allow"],
      group: inspection,
      load: async () => (await import("./commands/network/net-rules.ts")).netAllow,
    },
    {
      names: ["deny"],
      group: inspection,
      load: async () => (await import("./commands/network/net-rules.ts")).netDeny,
    },
    {
      names: ["publish"],
      group: inspection,
      load: async () => (await import("./commands/network/net-publish.ts")).netPublish,
    },
    {
      names: ["unpublish"],
      group: inspection,
      load: async () => (await import("./commands/network/net-unpublish.ts")).netUnpublish,
    },
  ],
};

const templateFamily: CommandFamily = {
  names: ["template"],
  group: other,
  summary: "List and remove the saved machines that sandboxes start from",
  members: [
    {
      names: ["list", "ls"],
      group: other,
      load: async () => (await import("./commands/template/template-list.ts")).templateList,
    },
    {
      names: ["inspect"],
      group: other,
      load: async () => (await import("./commands/template/template-inspect.ts")).templateInspect,
    },
    {
      names: ["prune"],
      group: other,
      load: async () => (await import("./commands/template/template-prune.ts")).templatePrune,
    },
  ],
};

const tlsFamily: CommandFamily = {
  names: ["tls"],
  group: other,
  summary: "Show and replace the authority that intercepts TLS",
  members: [
    { names: ["ca"], group: other, load: async () => (await import("./commands/tls/tls-ca.ts")).tlsCa },
    {
      names: ["export"],
      group: other,
      load: async () => (await import("./commands/tls/tls-export.ts")).tlsExport,
    },
    {
      names: ["rotate"],
      group: other,
      load: async () => (await import("./commands/tls/tls-rotate.ts")).tlsRotate,
    },
  ],
};

/** All commands, in the order of the help text. */
export const commandEntries: CommandEntries = [
  { names: ["run"], group: sandboxes, load: async () => (await import("./commands/sandbox/run.ts")).run },
  {
    names: ["create"],
    group: sandboxes,
    load: async () => (await import("./commands/sandbox/create.ts")).create,
  },
  {
    names: ["start"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/start.ts")).start,
  },
  {
    names: ["stop"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/stop.ts")).stop,
  },
  {
    names: ["restart"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/restart.ts")).restart,
  },
  {
    names: ["wait"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/wait.ts")).wait,
  },
  {
    names: ["pause"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/pause.ts")).pause,
  },
  {
    names: ["suspend"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/suspend.ts")).suspend,
  },
  {
    names: ["resume"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/resume.ts")).resume,
  },
  {
    names: ["restore"],
    group: sandboxes,
    load: async () => (await import("./commands/snapshot/restore.ts")).restore,
  },
  {
    names: ["fork", "branch"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/fork.ts")).fork,
  },
  {
    names: ["rollback"],
    group: sandboxes,
    load: async () => (await import("./commands/lifecycle/rollback.ts")).rollback,
  },
  {
    names: ["modify"],
    group: sandboxes,
    load: async () => (await import("./commands/sandbox/modify.ts")).modify,
  },
  { names: ["exec"], group: sandboxes, load: async () => (await import("./commands/sandbox/exec.ts")).exec },
  { names: ["jobs"], group: sandboxes, load: async () => (await import("./commands/jobs/jobs.ts")).jobs },
  {
    names: ["attach"],
    group: sandboxes,
    load: async () => (await import("./commands/jobs/attach.ts")).attach,
  },
  {
    names: ["copy", "cp"],
    group: sandboxes,
    load: async () => (await import("./commands/files/copy.ts")).copy,
  },
  { names: ["diff"], group: sandboxes, load: async () => (await import("./commands/files/diff.ts")).diff },
  { names: ["apply"], group: sandboxes, load: async () => (await import("./commands/files/apply.ts")).apply },
  {
    names: ["discard"],
    group: sandboxes,
    load: async () => (await import("./commands/files/discard.ts")).discard,
  },
  {
    names: ["remove", "rm"],
    group: sandboxes,
    load: async () => (await import("./commands/sandbox/remove.ts")).remove,
  },
  { names: ["ping"], group: sandboxes, load: async () => (await import("./commands/sandbox/ping.ts")).ping },
  {
    names: ["touch"],
    group: sandboxes,
    load: async () => (await import("./commands/sandbox/touch.ts")).touch,
  },
  { names: ["emit"], group: sandboxes, load: async () => (await import("./commands/events/emit.ts")).emit },
  poolFamily,
  sshFamily,
  {
    names: ["list", "ls"],
    group: inspection,
    load: async () => (await import("./commands/sandbox/list.ts")).list,
  },
  {
    names: ["status", "ps"],
    group: inspection,
    load: async () => (await import("./commands/sandbox/status.ts")).status,
  },
  {
    names: ["inspect"],
    group: inspection,
    load: async () => (await import("./commands/sandbox/inspect.ts")).inspect,
  },
  { names: ["logs"], group: inspection, load: async () => (await import("./commands/sandbox/logs.ts")).logs },
  {
    names: ["metrics"],
    group: inspection,
    load: async () => (await import("./commands/sandbox/metrics.ts")).metrics,
  },
  {
    names: ["events"],
    group: inspection,
    load: async () => (await import("./commands/events/events.ts")).events,
  },
  { names: ["port"], group: inspection, load: async () => (await import("./commands/network/port.ts")).port },
  networkFamily,
  { names: ["pull"], group: images, load: async () => alsoAs("pull", await pullImage()) },
  { names: ["load"], group: images, load: async () => alsoAs("load", await loadImage()) },
  { names: ["save"], group: images, load: async () => alsoAs("save", await saveImage()) },
  imageFamily,
  registryFamily,
  volumeFamily,
  snapshotFamily,
  checkpointFamily,
  { names: ["images"], group: images, load: async () => alsoAs("images", await listImages(), true) },
  { names: ["rmi"], group: images, load: async () => alsoAs("rmi", await removeImage(), true) },
  { names: ["df"], group: storage, load: async () => (await import("./commands/storage/df.ts")).df },
  { names: ["prune"], group: storage, load: async () => (await import("./commands/storage/prune.ts")).prune },
  templateFamily,
  tlsFamily,
  { names: ["init"], group: other, load: async () => (await import("./commands/host/init.ts")).init },
  {
    names: ["mcp"],
    group: other,
    load: async () => (await import("./commands/host/mcp.ts")).mcp,
  },
  {
    names: ["dashboard"],
    group: other,
    load: async () => (await import("./commands/host/dashboard.ts")).dashboard,
  },
  {
    names: ["doctor", "check"],
    group: other,
    load: async () => (await import("./commands/host/doctor.ts")).doctor,
  },
  {
    names: ["completion"],
    group: other,
    load: async () => (await import("./commands/host/completion.ts")).completion,
  },
  {
    names: ["help"],
    group: other,
    load: async () => (await import("./commands/host/help.ts")).helpFor(commandEntries),
  },
  {
    names: ["__complete"],
    group: other,
    load: async () => (await import("./commands/host/complete.ts")).completeFrom(commandEntries),
  },
];
