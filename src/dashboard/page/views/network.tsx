import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Decision, NetworkView, SandboxRow } from "../../wire.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Check, Field } from "../parts/field.tsx";
import { formText } from "../parts/form-text.ts";
import { plain, time } from "../parts/format.ts";
import { useCall, Waiting } from "../parts/loaded.tsx";
import { call, tell } from "../state/call.ts";
import { watch } from "../state/live.ts";
import { Ports } from "./ports.tsx";

/** So many decisions are in the page. */
const most = 500;

/** What the network of a sandbox decides, and by which rules. */
export function Network({ row }: { readonly row: SandboxRow }): VNode {
  if (!row.hasNetwork) return <p class="empty">This sandbox has no network.</p>;
  return (
    <>
      {(row.status === "running" || row.status === "paused") && <Now row={row} />}
      <Decided row={row} />
    </>
  );
}

function Now({ row: { name } }: { readonly row: SandboxRow }): VNode {
  const view = useCall("network.view", { name });
  useEffect(() => changes.add(view.set), []);
  if (view.value === null) return <Waiting of={view} />;
  const { rules, defaultEgress, defaultIngress, observe } = view.value;
  return (
    <div class="columns">
      <section aria-labelledby="rules">
        <div class="head">
          <h2 id="rules">Rules</h2>
          <Suggestion name={name} />
        </div>
        {observe && <p class="banner">Observed: everything is allowed, and only noted.</p>}
        <ol class="rules" start={0}>
          {rules.map((rule, index) => (
            <li key={`${String(index)} ${rule}`} value={index}>
              <code>{rule}</code>
            </li>
          ))}
        </ol>
        <p class="muted">
          The first one that matches decides. Otherwise what the guest begins is{" "}
          {defaultEgress === "allow" ? "allowed" : "denied"}, and what comes to it is{" "}
          {defaultIngress === "allow" ? "allowed" : "denied"}.
        </p>
      </section>
      <Ports name={name} ports={view.value.ports} onChange={view.set} />
    </div>
  );
}

/** Who shows the rules is told of those that were changed elsewhere on the page. */
const changes = {
  listener: null as ((view: NetworkView) => void) | null,
  add(listener: (view: NetworkView) => void): () => void {
    this.listener = listener;
    return () => {
      this.listener = null;
    };
  },
};

function Decided({ row: { name, status } }: { readonly row: SandboxRow }): VNode {
  const [decisions, setDecisions] = useState<readonly Decision[]>([]);
  const [onlyDenied, setOnlyDenied] = useState(false);
  const [rule, setRule] = useState<string | null>(null);
  const isRunning = status === "running" || status === "paused";
  useEffect(
    () =>
      watch(
        "network",
        { name },
        {
          begin: () => setDecisions([]),
          news: (news) => setDecisions((before) => [...before, ...news].slice(-most)),
        },
      ),
    [name, isRunning],
  );
  const shown = decisions.filter(({ verdict }) => !onlyDenied || verdict === "denied").toReversed();
  return (
    <section aria-labelledby="decisions">
      <div class="head">
        <h2 id="decisions">Decisions</h2>
        <label class="check">
          <input
            type="checkbox"
            checked={onlyDenied}
            onChange={(event) => setOnlyDenied(event.currentTarget.checked)}
          />{" "}
          Only what was denied
        </label>
      </div>
      {shown.length === 0 ? (
        <p class="empty">Nothing was decided yet.</p>
      ) : (
        <table class="cards decisions">
          <caption class="unseen">What the network has decided, newest first</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Decision</th>
              <th scope="col">What</th>
              <th scope="col">By</th>
              <th scope="col">
                <span class="unseen">Change it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((decision, index) => (
              <tr key={String(decisions.length - index)}>
                <td data-label="Time">{time(decision.at)}</td>
                <td data-label="Decision">
                  <span class={`verdict ${decision.verdict}`}>{decision.verdict}</span>{" "}
                  <span class="muted">{decision.kind}</span>
                </td>
                <td data-label="What" class="long">
                  {plain(decision.what)}
                </td>
                <td data-label="By" class="long">
                  {plain(decision.by)}
                </td>
                <td class="actions">
                  {decision.remedy !== null && isRunning && (
                    <button
                      type="button"
                      aria-label={`${other(decision)} ${plain(decision.what)}…`}
                      onClick={() => setRule(decision.remedy)}
                    >
                      {other(decision)}…
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rule !== null && (
        <Dialog
          title="Add a rule"
          action="Add the rule"
          onClose={() => setRule(null)}
          onAction={async (form) => {
            const given = formText(form, "rule");
            const persist = form.get("persist") !== null;
            const view = await call("network.rule", { name, rule: given, persist });
            changes.listener?.(view);
            tell(`The rule ${given} is in force`);
          }}
        >
          <p>It is put before all others, and decides from now on.</p>
          <Field label="Rule" name="rule" value={rule} required />
          <Check name="persist">Also after the next start</Check>
        </Dialog>
      )}
    </section>
  );
}

function other({ verdict }: Decision): string {
  return verdict === "denied" ? "Allow" : "Deny";
}

/** The least rules that would allow what was seen. */
function Suggestion({ name }: { readonly name: string }): VNode {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Suggest a policy
      </button>
      {isOpen && <Suggested name={name} onClose={() => setOpen(false)} />}
    </>
  );
}

function Suggested({ name, onClose }: { readonly name: string; readonly onClose: () => void }): VNode {
  const found = useCall("network.suggest", { name });
  return (
    <Dialog
      title="The least that allows what was used"
      action="Copy"
      onClose={onClose}
      onAction={async () => {
        await navigator.clipboard.writeText((found.value?.rules ?? []).join(","));
        tell("Copied: give it to --net-rule");
      }}
    >
      {found.value === null ? (
        <Waiting of={found} />
      ) : (
        <>
          <p>
            Everything else that the guest begins is{" "}
            {found.value.defaultEgress === "allow" ? "allowed" : "denied"}.
          </p>
          <pre>
            {found.value.rules.length === 0 ? "No rule: nothing was used." : found.value.rules.join("\n")}
          </pre>
        </>
      )}
    </Dialog>
  );
}
