import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { notice } from "./state/call.ts";
import { followSandboxes } from "./state/board.ts";
import { link } from "./state/live.ts";
import { route, to } from "./state/route.ts";
import { useStore } from "./state/store.ts";
import { Images } from "./views/stored/images.tsx";
import { SandboxList } from "./views/sandbox-list.tsx";
import { SandboxPage } from "./views/sandbox-page.tsx";
import { Space } from "./views/stored/space.tsx";
import { Templates } from "./views/stored/templates.tsx";
import { TreePage } from "./views/tree.tsx";
import { Volumes } from "./views/stored/volumes.tsx";

const places = [
  ["", "Sandboxes"],
  ["tree", "Snapshots and forks"],
  ["images", "Images"],
  ["volumes", "Volumes"],
  ["templates", "Templates"],
  ["storage", "Storage"],
] as const;

export function App(): VNode {
  const steps = useStore(route);
  const state = useStore(link);
  const main = useRef<HTMLElement>(null);
  const place = steps.join("/");
  const first = useRef(true);
  useEffect(followSandboxes, []);
  // Whoever went somewhere by the keyboard, or hears the page, begins with the new heading: together with it, so that nothing that was
  // pressed since is lost.
  useLayoutEffect(() => {
    if (!first.current) main.current?.querySelector<HTMLElement>("h1")?.focus();
    first.current = false;
  }, [place]);
  const [top = ""] = steps;
  const current = top === "sandbox" ? "" : top;
  if (state === "refused") return <Refused />;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.querySelector<HTMLElement>("h1")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header>
        <span class="brand">microsandbox</span>
        <nav aria-label="Main">
          {places.map(([name, title]) => (
            <a
              key={name}
              href={name === "" ? "#/" : to(name)}
              aria-current={current === name ? "page" : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
      </header>
      {state === "lost" && (
        <p class="banner" role="alert">
          The dashboard’s server does not answer. If it was ended, start it again: <code>msb dashboard</code>
        </p>
      )}
      <main ref={main}>
        <View steps={steps} />
      </main>
      <NoticeBar />
    </>
  );
}

function View({ steps }: { readonly steps: readonly string[] }): VNode {
  const [top = "", name = "", tab = "overview"] = steps;
  switch (top) {
    case "":
      return <SandboxList />;
    case "sandbox":
      return <SandboxPage key={name} name={name} tab={tab} />;
    case "tree":
      return <TreePage />;
    case "images":
      return <Images />;
    case "volumes":
      return <Volumes />;
    case "templates":
      return <Templates />;
    case "storage":
      return <Space />;
    default:
      return <h1 tabIndex={-1}>There is nothing here</h1>;
  }
}

function Refused(): VNode {
  return (
    <main class="refused">
      <h1>This page needs its token</h1>
      <p role="alert">
        The token is missing or wrong. Open the whole address that <code>msb dashboard</code> has printed:
        each run has another one.
      </p>
    </main>
  );
}

/** What was done, or went wrong. It is there from the beginning, so that screen readers tell of what comes. */
function NoticeBar(): VNode {
  const told = useStore(notice);
  useEffect(() => {
    // What takes longer to read stays until it was read.
    if (told === null || told.isError || told.hint !== "") return undefined;
    const timer = setTimeout(() => notice.set(null), 6000);
    return () => clearTimeout(timer);
  }, [told]);
  return (
    <div class="notices" role={told?.isError === true ? "alert" : "status"}>
      {told !== null && (
        <div class={told.isError ? "notice error" : "notice"}>
          <div>
            <p>{told.text}</p>
            {told.hint !== "" && <p class="hint">{told.hint}</p>}
          </div>
          <button type="button" onClick={() => notice.set(null)} aria-label="Dismiss">
            ×
          </button>
        </div>
      )}
    </div>
  );
}
