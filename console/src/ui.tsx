// Small parts that every page uses.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Run } from "./api.ts";

export type Shown = "waiting" | "running" | "stopping" | "stopped" | "complete" | "failed";

/** The state as a person sees it: a run that is being stopped is neither running nor stopped. */
export function shownState(run: Run): Shown {
  if (run.state === "accepted") return "waiting";
  if (run.state === "in_progress") return run.cancellation ? "stopping" : "running";
  return run.state === "canceled" ? "stopped" : run.state;
}

const WORDS: Record<Shown, [string, string]> = {
  waiting: ["◷", "Waiting"],
  running: ["▶", "Running"],
  stopping: ["◐", "Stopping"],
  stopped: ["■", "Proven stopped"],
  complete: ["✓", "Complete"],
  failed: ["✕", "Failed"],
};

export function State({ of: run }: { of: Run }) {
  const shown = shownState(run);
  const [sign, word] = WORDS[shown];
  return (
    <span class={`state ${shown}`}>
      <span aria-hidden="true">{sign}</span> {word}
    </span>
  );
}

export function messageOf(error: unknown): string {
  if (error instanceof ApiError || error instanceof Error) return error.message;
  return String(error);
}

export function Failure({ children, title }: { children: ComponentChildren; title?: string }) {
  return (
    <div class="failure" role="alert">
      {title && <strong>{title}</strong>}
      <p>{children}</p>
    </div>
  );
}

/** A button that copies, and says that it has. */
export function Copy({ text, label }: { text: () => string; label: string }) {
  const [done, setDone] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setDone("Copied");
    } catch {
      setDone("The browser did not allow it");
    }
    setTimeout(() => setDone(""), 2000);
  };
  return (
    <button type="button" class="quiet" onClick={copy}>
      {done || label}
      <span class="unseen" aria-live="polite">
        {done}
      </span>
    </button>
  );
}

/** A value from the server, loaded anew when one of `on` changes. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, on: unknown[]) {
  const [value, setValue] = useState<T>();
  const [error, setError] = useState<string>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setError(undefined);
    load(stop.signal).then(
      (loaded) => !stop.signal.aborted && setValue(() => loaded),
      (failure) => !stop.signal.aborted && setError(messageOf(failure)),
    );
    return () => stop.abort();
  }, [...on, turn]);
  return { value, error, reload: () => setTurn((before) => before + 1) };
}

export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${title} · queryrun`;
  }, [title]);
}

/** The browser's own dialog: it keeps the focus inside and closes with Escape. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} onClose={props.onClose} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        <button type="button" class="quiet" onClick={() => element.current?.close()}>
          Close
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

const memory = (name: string) => `queryrun.${name}`;

/** A choice that this browser remembers. Never anything secret. */
export function useRemembered(name: string, first: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => {
    try {
      return localStorage.getItem(memory(name)) ?? first;
    } catch {
      return first;
    }
  });
  const set = (next: string) => {
    setValue(next);
    try {
      localStorage.setItem(memory(name), next);
    } catch {
      // A browser that stores nothing forgets it.
    }
  };
  return [value, set];
}
