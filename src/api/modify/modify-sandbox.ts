import { checkOneOf } from "../../config/checks.ts";
import type { SandboxStatus } from "../../config/enums.ts";
import { GivenSecret } from "../../config/network/interception/secret-material.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { requireUnchanged, withSecrets } from "../../config/network/changes/secrets-change.ts";
import { CustomError, InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import { saveRecord } from "../../store/sandbox-record.ts";
import { isTerminal, isUp } from "../../config/enums.ts";
import { lockStoppedSandbox, type FoundSandbox } from "../../store/sandboxes.ts";
import { changeSecretFile, readSecretFile } from "../../store/secret-file.ts";
import { notRunning } from "../control/found-sandbox.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { runSecrets } from "../providers/run-secrets.ts";
import { restartSandbox } from "../sandbox/start.ts";
import type {
  ModificationDisposition,
  ModificationPolicy,
  ModificationRemark,
  ModifyOptions,
  SandboxModificationPlan,
} from "./modification-plan.ts";
import { planSecrets, type DispositionOf, type PlannedSecrets } from "./plan-secrets.ts";

const policies = ["no_restart", "next_start", "restart"] as const;
const known = ["secrets", "secretsRemove", "policy", "dryRun"];
const live: ReadonlySet<string> = new Set(["rotated", "removed", "hosts updated"]);

/**
 * Changes a sandbox: all of what is asked for, or nothing.
 *
 * @param ownsIt this program owns the sandbox's run
 * @throws CustomError when something cannot be done under the policy; InvalidConfigError; UnsupportedOperationError for a field that this
 *   version does not change; RuntimeError when somebody else has changed it meanwhile; IoError
 */
export async function modifySandbox(
  operation: Operation,
  control: SandboxControl,
  options: ModifyOptions,
  ownsIt: boolean,
): Promise<SandboxModificationPlan> {
  const { secrets = {}, secretsRemove = [], dryRun = false } = options;
  const policy = checkModification(options);
  const found = await control.find();
  if (found.status === "starting") throw notRunning(control.name, found.status);
  const { network, disableNetwork } = found.record.config;
  const before = network?.secrets ?? [];
  const planned = planSecrets(
    before,
    secrets,
    secretsRemove,
    dispositionsIn(found.status, policy, before.length > 0),
  );
  const plan = {
    sandbox: control.name,
    status: found.status as SandboxStatus,
    policy,
    changes: planned.changes,
    conflicts: planned.conflicts,
    warnings: warningsOf(control.name, found.status, policy, planned, before.length > 0),
    resizeStatus: [],
  };
  if (network === null || disableNetwork) {
    if (planned.changes.length > 0)
      throw new UnsupportedOperationError(`sandbox ${control.name} has no network`, {
        hint: "Create it without disableNetwork().",
      });
  }
  if (dryRun) return { ...plan, applied: false };
  refuseInapplicable(plan, policy);
  if (planned.changes.length === 0) return { ...plan, applied: false };
  const restarts =
    policy === "restart" &&
    (isUp(found.status) || found.status === "suspended") &&
    planned.changes.some(({ disposition }) => disposition === "requires restart");
  if (restarts && ownsIt) {
    throw new UnsupportedOperationError("this program owns the sandbox, and would lose it by a restart", {
      hint: 'Modify it with the policy "next_start", then call restart().',
    });
  }
  // Before anything is changed, and before the sandbox is stopped.
  if (restarts) await requireValues(control, found, planned);
  if (isTerminal(found.status)) await changeStopped(control, found, planned);
  else
    await changeRunning(
      operation,
      control,
      before,
      planned,
      !restarts && planned.changes.every(({ disposition }) => disposition === "live"),
    );
  if (restarts) await restartSandbox(operation, control, { detached: true });
  return { ...plan, applied: true };
}

/** @throws InvalidConfigError, UnsupportedOperationError */
function checkModification(options: ModifyOptions): ModificationPolicy {
  const given: unknown = options;
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new InvalidConfigError("what is to be modified is no object", {
      hint: "Such as { secrets: { API_KEY: { value } } }.",
    });
  const later = Object.entries(given).find(
    ([key, value]) => !known.includes(key) && value !== undefined && !["timeoutMs", "signal"].includes(key),
  );
  if (later !== undefined) {
    throw new UnsupportedOperationError(`${later[0]} cannot be modified in this version`, {
      hint: "Secrets can. Make the sandbox anew with another configuration: create it with replace.",
    });
  }
  const { secrets = {}, secretsRemove = [], policy = "no_restart" } = options;
  if (typeof secrets !== "object" || (secrets as unknown) === null || Array.isArray(secrets))
    throw new InvalidConfigError("secrets is no object", {
      hint: "Give them by their variables: { API_KEY: { value } }.",
    });
  if (!Array.isArray(secretsRemove) || !secretsRemove.every((name) => typeof name === "string"))
    throw new InvalidConfigError("secretsRemove is no list of names", { hint: 'Such as ["API_KEY"].' });
  return checkOneOf("policy", policy, policies);
}

function dispositionsIn(
  status: SandboxStatus,
  policy: ModificationPolicy,
  hasSecrets: boolean,
): DispositionOf {
  return (change): ModificationDisposition => {
    if (status === "draining") return "unsupported";
    const isSeen = hasSecrets && live.has(change);
    // A guest that goes on where it was suspended has been told of its secrets already, as one that runs.
    if (status === "suspended" && !isSeen && policy !== "next_start") return "requires restart";
    if (isTerminal(status) || status === "starting" || policy === "next_start") return "next start";
    return isSeen ? "live" : "requires restart";
  };
}

/** What is in force at the next start of a suspended sandbox, but only if that gives its memory up. */
function warningsOf(
  name: string,
  status: SandboxStatus,
  policy: ModificationPolicy,
  { changes }: PlannedSecrets,
  hasSecrets: boolean,
): readonly ModificationRemark[] {
  if (status !== "suspended" || policy !== "next_start") return [];
  return changes
    .filter(({ change }) => !hasSecrets || !live.has(change))
    .map((change) => ({
      field: "secret",
      message: `sandbox ${name} is suspended: that ${change.name} is ${change.change}, its guest sees after a start without its memory (msb start --fresh ${name})`,
    }));
}

function refuseInapplicable(
  { changes, conflicts, status }: Pick<SandboxModificationPlan, "changes" | "conflicts" | "status">,
  policy: ModificationPolicy,
): void {
  const [conflict] = conflicts;
  const refuse = (why: string, hint: string): CustomError =>
    new CustomError(`cannot apply modification: ${why}`, { hint });
  if (conflict !== undefined) throw refuse(conflict.message, "Say it once, and whole.");
  for (const { name, change, disposition } of changes) {
    if (disposition === "unsupported")
      throw refuse("the sandbox is about to stop", "Wait until it has stopped, and modify it then.");
    if (disposition === "requires restart" && policy === "no_restart" && status === "suspended") {
      throw refuse(
        `the secret ${name} is ${change}, which a guest that goes on where it was suspended cannot see`,
        'Use the policy "next_start", and start it without its memory then (fresh), or "restart", which gives that up at once.',
      );
    }
    if (disposition === "requires restart" && policy === "no_restart") {
      throw refuse(
        `the secret ${name} is ${change}, which a running guest cannot see`,
        'Use the policy "next_start" or "restart".',
      );
    }
  }
}

/** @throws InvalidConfigError for a secret that a restart by this program would have no value for; IoError, JsonError */
async function requireValues(
  { parts }: SandboxControl,
  { paths }: FoundSandbox,
  { secrets, values }: PlannedSecrets,
): Promise<void> {
  const given = [...values].flatMap(([envVar, value]): [string, GivenSecret][] =>
    value === null ? [] : [[envVar, new GivenSecret(value)]],
  );
  await runSecrets(secrets, new Map(given), parts.secrets.material, await readSecretFile(paths.secrets));
}

/** The values first: a record never names a stored value that is not there. */
async function changeStopped(
  control: SandboxControl,
  found: FoundSandbox,
  { secrets, values }: PlannedSecrets,
): Promise<void> {
  const lock = await lockStoppedSandbox(control.home, control.name, control.id, "modify");
  try {
    const { paths, record } = await control.find();
    requireUnchanged(found.record.config.network?.secrets ?? [], record.config.network?.secrets ?? []);
    const { network } = record.config;
    if (network === null) return;
    await changeSecretFile(paths.secrets, secrets, values, async () => {
      const config = { ...record.config, network: withSecrets(network, secrets) };
      await saveRecord(paths.config, { ...record, config });
    });
  } finally {
    await lock.release();
  }
}

/** The supervisor writes it down: nobody else changes the record of a sandbox that runs. */
async function changeRunning(
  operation: Operation,
  control: SandboxControl,
  expected: readonly SecretConfig[],
  { secrets, values }: PlannedSecrets,
  isLive: boolean,
): Promise<void> {
  const change = JSON.stringify({ expected, secrets, values: Object.fromEntries(values) });
  await control.request(operation, { type: "ModifySecrets", change, live: isLive }, "Done");
}
