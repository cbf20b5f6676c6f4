import * as v from "valibot";
import { Sandbox, Snapshot, type SandboxHandle } from "../../api/index.ts";
import type { TreeNode } from "../wire.ts";
import { name, nothing, type SomeCalls } from "./call.ts";

export const treeCalls: SomeCalls<"tree.view" | "snapshot.create" | "snapshot.remove"> = {
  "tree.view": {
    args: nothing,
    run: async (_, signal) => {
      const [sandboxes, handles] = await Promise.all([Sandbox.list({ signal }), Snapshot.list({ signal })]);
      const snapshots = await Promise.all(handles.map((handle) => handle.open({ signal }).catch(() => null)));
      const ofSandboxes = await Promise.all(sandboxes.map((handle) => sandboxNode(handle, signal)));
      const ofSnapshots = snapshots.map((snapshot, at) =>
        snapshot === null ? null : snapshotNode(snapshot, handles[at]?.name ?? snapshot.digest, sandboxes),
      );
      const nodes = [...ofSandboxes, ...ofSnapshots];
      return { roots: grow(nodes.filter((node) => node !== null)) };
    },
  },
  "snapshot.create": {
    args: v.strictObject({ name, sandbox: name }),
    run: async ({ name, sandbox }) => {
      await (await Sandbox.get(sandbox)).snapshot(name);
      return null;
    },
  },
  "snapshot.remove": {
    args: v.strictObject({ digest: v.string() }),
    run: async ({ digest }) => {
      await Snapshot.remove(digest);
      return null;
    },
  },
};

/** What hangs below something else, if that is there. */
interface Node {
  readonly node: Omit<TreeNode, "children">;
  /** Key of what it was made from; null: of nothing that is known. */
  readonly parent: string | null;
  readonly leaves: readonly TreeNode[];
}

async function sandboxNode(handle: SandboxHandle, signal: AbortSignal): Promise<Node> {
  const { id, name, status, createdAt } = handle;
  const { snapshotDigest, forkedFrom } = handle.config();
  const checkpoints = await handle.checkpoints({ signal }).catch(() => []);
  const origin = forkedFrom !== null ? "fork" : snapshotDigest !== null ? "from a snapshot" : "sandbox";
  return {
    node: {
      ...{ kind: "sandbox", key: id, name, note: `${origin}, ${status}`, bytes: null },
      createdAt: createdAt.getTime(),
    },
    parent: forkedFrom ?? snapshotDigest,
    leaves: checkpoints.map((checkpoint) => ({
      ...{ kind: "checkpoint", key: `${id}/${checkpoint.id}`, name: checkpoint.id, note: "checkpoint" },
      createdAt: checkpoint.createdAt.getTime(),
      bytes: checkpoint.memoryBytes + checkpoint.diskBytes,
      children: [],
    })),
  };
}

function snapshotNode(snapshot: Snapshot, name: string, sandboxes: readonly SandboxHandle[]): Node {
  const { digest, scope, sourceSandbox, parent, sizeBytes, createdAt } = snapshot;
  const at = Date.parse(createdAt);
  // One of the same name may have been made since, even from this very snapshot.
  const source = sandboxes.find(
    (handle) =>
      handle.name === sourceSandbox &&
      handle.config().snapshotDigest === parent &&
      handle.createdAt.getTime() <= at,
  );
  const of = source === undefined && sourceSandbox !== null ? ` of ${sourceSandbox}` : "";
  return {
    node: {
      ...{ kind: "snapshot", key: digest, name, createdAt: at },
      note: `${scope === "full" ? "snapshot with memory" : "snapshot"}${of}`,
      bytes: sizeBytes === null ? null : Number(sizeBytes),
    },
    parent: source?.id ?? parent,
    leaves: [],
  };
}

/** What was made of something came later, so no branch leads back to where it began. */
function grow(nodes: readonly Node[]): readonly TreeNode[] {
  const byKey = new Map(nodes.map((each) => [each.node.key, each]));
  const parentOf = ({ node, parent }: Node): Node | null => {
    const found = parent === null ? undefined : byKey.get(parent);
    return found === undefined || found.node.createdAt > node.createdAt ? null : found;
  };
  const below = Map.groupBy(nodes, parentOf);
  const branch = (each: Node): TreeNode => ({
    ...each.node,
    children: inOrder([...each.leaves, ...(below.get(each) ?? []).filter((one) => one !== each).map(branch)]),
  });
  return inOrder((below.get(null) ?? []).map(branch));
}

function inOrder(nodes: readonly TreeNode[]): readonly TreeNode[] {
  return nodes.toSorted((a, b) => a.createdAt - b.createdAt);
}
