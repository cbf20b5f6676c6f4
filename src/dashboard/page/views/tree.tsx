import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { TreeNode } from "../../wire.ts";
import { Dialog } from "../parts/dialog.tsx";
import { bytes, date } from "../parts/format.ts";
import { useCall, Waiting } from "../parts/loaded.tsx";
import { order, useTitle } from "../state/board.ts";
import { call, tell } from "../state/call.ts";
import { to } from "../state/route.ts";
import { useStore } from "../state/store.ts";

/** All of it, as a page. */
export function TreePage(): VNode {
  useTitle("Snapshots and forks");
  return (
    <>
      <h1 tabIndex={-1}>Snapshots and forks</h1>
      <Tree />
    </>
  );
}

/** Sandboxes with their snapshots, checkpoints and forks: what was made of what. */
export function Tree({ of }: { readonly of?: string }): VNode {
  const ids = useStore(order);
  const tree = useCall("tree.view", {}, ids?.join() ?? "");
  const roots = tree.value?.roots ?? [];
  const shown = of === undefined ? roots : roots.filter((root) => has(root, of));
  return (
    <>
      {tree.value === null ? (
        <Waiting of={tree} />
      ) : shown.length === 0 ? (
        <p class="empty">There is nothing yet.</p>
      ) : (
        <Branch nodes={shown} here={of ?? null} onChange={tree.again} />
      )}
    </>
  );
}

function has(node: TreeNode, key: string): boolean {
  return node.key === key || node.children.some((child) => has(child, key));
}

interface BranchProps {
  readonly nodes: readonly TreeNode[];
  readonly here: string | null;
  readonly onChange: () => void;
}

function Branch({ nodes, here, onChange }: BranchProps): VNode {
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <li key={node.key}>
          <div class={node.key === here ? "node here" : "node"}>
            <span class={`kind ${node.kind}`} aria-hidden="true" />
            {node.kind === "sandbox" ? (
              <a href={to("sandbox", node.name)}>{node.name}</a>
            ) : (
              <b>{node.name}</b>
            )}
            <span class="muted">
              {node.note}
              {node.bytes === null ? "" : `, ${bytes(node.bytes)}`}, {date(node.createdAt)}
            </span>
            {node.kind === "snapshot" && <RemoveSnapshot node={node} onChange={onChange} />}
          </div>
          {node.children.length > 0 && <Branch nodes={node.children} here={here} onChange={onChange} />}
        </li>
      ))}
    </ul>
  );
}

function RemoveSnapshot({
  node,
  onChange,
}: {
  readonly node: TreeNode;
  readonly onChange: () => void;
}): VNode {
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <button
        type="button"
        class="danger small"
        aria-label={`Remove snapshot ${node.name}`}
        onClick={() => setAsked(true)}
      >
        Remove
      </button>
      {isAsked && (
        <Dialog
          title={`Remove snapshot ${node.name}?`}
          action="Remove"
          isDangerous
          onClose={() => setAsked(false)}
          onAction={async () => {
            await call("snapshot.remove", { digest: node.key });
            tell(`The snapshot ${node.name} was removed`);
            onChange();
          }}
        >
          <p>Sandboxes that were made from it stay.</p>
        </Dialog>
      )}
    </>
  );
}
