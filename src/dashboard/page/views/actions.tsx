import type { VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { CallName, SandboxRow } from "../../wire.ts";
import { call, complain, tell } from "../state/call.ts";
import { go } from "../state/route.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { formText } from "../parts/form-text.ts";

type Action = "start" | "stop" | "kill" | "pause" | "resume" | "fork" | "snapshot" | "remove";

const possible: Readonly<Record<string, readonly Action[]>> = {
  created: ["start", "snapshot", "remove"],
  stopped: ["start", "snapshot", "remove"],
  crashed: ["start", "snapshot", "remove"],
  suspended: ["start", "remove"],
  starting: ["kill"],
  running: ["stop", "pause", "fork", "snapshot", "kill", "remove"],
  draining: ["stop", "kill", "remove"],
  paused: ["resume", "stop", "fork", "kill", "remove"],
};

const titles: Readonly<Record<Action, string>> = {
  start: "Start",
  stop: "Stop",
  kill: "Kill",
  pause: "Pause",
  resume: "Resume",
  fork: "Fork",
  snapshot: "Snapshot",
  remove: "Remove",
};

interface ActionsProps {
  readonly row: SandboxRow;
  /** In a list: only what is wanted most. */
  readonly short?: boolean;
}

/** Buttons for what can be done with a sandbox now. */
export function Actions({ row, short }: ActionsProps): VNode {
  const { name, status } = row;
  const [busy, setBusy] = useState<Action | null>(null);
  const [asked, setAsked] = useState<Action | null>(null);
  const group = useKeptFocus();
  const now = async (action: "start" | "pause" | "resume"): Promise<void> => {
    setBusy(action);
    try {
      const result = await call(`sandbox.${action}`, { name });
      tell(`${titles[action]}: ${name} – done`, result?.notices);
    } catch (error) {
      complain(error);
    } finally {
      setBusy(null);
    }
  };
  const choose = (action: Action): void => {
    if (busy !== null) return;
    if (action === "start" || action === "pause" || action === "resume") void now(action);
    else setAsked(action);
  };
  const actions = (possible[status] ?? []).filter(
    (action) => short !== true || !(action === "snapshot" || action === "kill"),
  );
  return (
    <div ref={group} class="buttons" role="group" aria-label={`Actions for ${name}`}>
      {actions.map((action) => (
        <button
          key={action}
          type="button"
          class={action === "remove" || action === "kill" ? "danger" : ""}
          aria-disabled={busy !== null}
          aria-label={`${titles[action]} ${name}`}
          onClick={() => choose(action)}
        >
          {busy === action ? "Working…" : titles[action]}
        </button>
      ))}
      {asked !== null && <Question action={asked} name={name} onClose={() => setAsked(null)} />}
    </div>
  );
}

/**
 * What can be done is another thing after each action, and after a removal nothing is left: the focus stays near, where whoever has no mouse
 * goes on.
 */
function useKeptFocus(): { current: HTMLDivElement | null } {
  const group = useRef<HTMLDivElement>(null);
  const hadFocus = group.current?.contains(document.activeElement) === true;
  useLayoutEffect(() => {
    if (hadFocus && group.current?.contains(document.activeElement) !== true)
      group.current?.querySelector("button")?.focus();
  });
  useLayoutEffect(() => {
    const element = group.current;
    return () => {
      if (element?.contains(document.activeElement) !== true) return;
      // While a question is open, nothing else can have the focus.
      element.querySelector("dialog")?.close();
      document.querySelector<HTMLElement>("h1")?.focus();
    };
  }, []);
  return group;
}

interface QuestionProps {
  readonly action: Action;
  readonly name: string;
  readonly onClose: () => void;
}

const words: Readonly<Partial<Record<Action, string>>> = {
  stop: "Its programs are asked to end, and its files are written down. It can be started again.",
  kill: "Its machine ends at once. What its programs have not written down is lost.",
  remove: "It is stopped if it runs, and its files, logs and checkpoints are gone for good. Snapshots stay.",
};

function Question({ action, name, onClose }: QuestionProps): VNode {
  if (action === "fork" || action === "snapshot") return <NameQuestion {...{ action, name, onClose }} />;
  return (
    <Dialog
      title={`${titles[action]} ${name}?`}
      action={titles[action]}
      isDangerous={action !== "stop"}
      onAction={async () => {
        await call(`sandbox.${action}` as Extract<CallName, `sandbox.${"stop" | "kill" | "remove"}`>, {
          name,
        });
        tell(`${titles[action]}: ${name} – done`);
        if (action === "remove") go();
      }}
      onClose={onClose}
    >
      <p>{words[action]}</p>
    </Dialog>
  );
}

/** What makes something new asks for its name. */
function NameQuestion({ action, name, onClose }: QuestionProps): VNode {
  const isFork = action === "fork";
  return (
    <Dialog
      title={isFork ? `Fork ${name}` : `Snapshot of ${name}`}
      action={titles[action]}
      onAction={async (form) => {
        const given = formText(form, "name");
        if (isFork) await call("sandbox.fork", { name, child: given });
        else await call("snapshot.create", { sandbox: name, name: given });
        tell(isFork ? `${name} was forked: ${given} runs` : `The snapshot ${given} was made`);
      }}
      onClose={onClose}
    >
      <p>
        {isFork
          ? "The fork has its memory, its programs and its files, and goes on by itself from here."
          : "The snapshot has its disk. New sandboxes can begin with it."}
      </p>
      <Field label="Name" name="name" value={`${name}-${isFork ? "fork" : "snapshot"}`} required />
    </Dialog>
  );
}
