// Addresses below /console/, wherever a proxy has put it.
import { useEffect, useState } from "preact/hooks";

const base = new URL(document.baseURI);

export const href = (page: string): string => new URL(page, base).href;

export interface Address {
  page: string;
  id: string;
  query: URLSearchParams;
}

function current(): Address {
  const path = location.pathname.startsWith(base.pathname) ? location.pathname.slice(base.pathname.length) : "";
  const [page = "", id = ""] = path.replace(/\/$/, "").split("/").map(decodeURIComponent);
  return { page, id, query: new URLSearchParams(location.search) };
}

export function go(page: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", href(page));
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Follow plain clicks on our own links without loading the page anew. */
export function onLink(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.("a");
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || link.target || link.hasAttribute("download")) return;
  const at = new URL(link.href);
  if (at.origin !== base.origin || !at.pathname.startsWith(base.pathname)) return;
  event.preventDefault();
  go(at.pathname.slice(base.pathname.length) + at.search);
}

export function useAddress(): Address {
  const [address, setAddress] = useState(current);
  useEffect(() => {
    const moved = () => setAddress(current());
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  return address;
}
