import type { VNode } from "preact";
import { StatusMark } from "../parts/status.tsx";
import { order, useNamed, useTitle } from "../state/board.ts";
import { to } from "../state/route.ts";
import { useStore } from "../state/store.ts";
import { Actions } from "./actions.tsx";
import { Files } from "./files.tsx";
import { Logs } from "./logs.tsx";
import { Network } from "./network.tsx";
import { Overview } from "./overview.tsx";
import { Settings } from "./settings.tsx";
import { TerminalView } from "./terminal.tsx";
import { Tree } from "./tree.tsx";

const tabs = [
  ["overview", "Overview"],
  ["terminal", "Terminal"],
  ["logs", "Logs"],
  ["files", "Files"],
  ["network", "Network"],
  ["tree", "Snapshots and forks"],
  ["settings", "Settings"],
] as const;

/** One sandbox. */
export function SandboxPage({ name, tab }: { readonly name: string; readonly tab: string }): VNode {
  useTitle(name);
  const ids = useStore(order);
  const entry = useNamed(name);
  if (entry === null) {
    return (
      <>
        <h1 tabIndex={-1}>{name}</h1>
        {ids === null ? (
          <p class="muted">Loading…</p>
        ) : (
          <p class="empty" role="status">
            This sandbox is not there, or not any more. <a href="#/">All sandboxes</a>
          </p>
        )}
      </>
    );
  }
  const { row } = entry;
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{name}</h1>
        <span role="status">
          <StatusMark status={row.status} />
        </span>
        <Actions row={row} />
      </div>
      <nav class="tabs" aria-label={`Views of ${name}`}>
        {tabs.map(([key, title]) => (
          <a key={key} href={to("sandbox", name, key)} aria-current={tab === key ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <Tab key={`${row.id} ${tab}`} tab={tab} entry={entry} />
    </>
  );
}

function Tab({
  tab,
  entry,
}: {
  readonly tab: string;
  readonly entry: NonNullable<ReturnType<typeof useNamed>>;
}): VNode {
  const { row } = entry;
  switch (tab) {
    case "terminal":
      return <TerminalView row={row} />;
    case "logs":
      return <Logs row={row} />;
    case "files":
      return <Files row={row} />;
    case "network":
      return <Network row={row} />;
    case "tree":
      return <Tree of={row.id} />;
    case "settings":
      return <Settings row={row} />;
    default:
      return <Overview entry={entry} />;
  }
}
