// Who did what, newest first.
import { useEffect, useState } from "preact/hooks";
import { type AuditEntry, admin } from "./api.ts";
import { number, plain, time } from "./format.ts";
import { go } from "./router.ts";
import { Table } from "./table.tsx";
import { Failure, messageOf } from "./ui.tsx";

const PAGE_SIZE = "50";
const EVENTS = [
  ...["login_failed", "run_submitted", "run_cancel_requested", "result_read", "client_created", "client_changed"],
  ...["client_secret_rotated", "client_revoked", "token_revoked", "tenant_created", "entity_created", "node_started"],
  "entries_removed",
];

export function AuditPart({ query }: { query: URLSearchParams }) {
  const [entries, setEntries] = useState<AuditEntry[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(true);
  const load = async (cursor: string | null, isWanted: () => boolean = () => true) => {
    setBusy(true);
    const asked = new URLSearchParams({ page_size: PAGE_SIZE });
    for (const name of ["event", "client_id", "subject"]) if (query.get(name)) asked.set(name, query.get(name) ?? "");
    if (cursor) asked.set("cursor", cursor);
    try {
      const page = await admin.audit(asked);
      if (!isWanted()) return;
      setEntries((before) => (cursor ? [...before, ...page.data] : page.data));
      setNext(page.next_page);
      setError(undefined);
    } catch (failure) {
      if (isWanted()) setError(messageOf(failure));
    }
    if (isWanted()) setBusy(false);
  };
  useEffect(() => {
    let isHere = true;
    void load(null, () => isHere);
    return () => {
      isHere = false;
    };
  }, [query.toString()]);
  const filter = (name: string, value: string) => {
    const changed = new URLSearchParams(query);
    if (value) changed.set(name, value);
    else changed.delete(name);
    go(`operate/audit?${changed}`);
  };
  const text = (name: string, label: string) => (
    <label class="inline">
      {label} <input value={query.get(name) ?? ""} onChange={(event) => filter(name, event.currentTarget.value.trim())} />
    </label>
  );
  return (
    <section aria-label="Audit">
      <h2>Audit log</h2>
      <div class="bar filters">
        <label class="inline">
          Event{" "}
          <select value={query.get("event") ?? ""} onChange={(event) => filter("event", event.currentTarget.value)}>
            <option value="">any</option>
            {EVENTS.map((name) => (
              <option value={name}>{name.replaceAll("_", " ")}</option>
            ))}
          </select>
        </label>
        {text("client_id", "By client")}
        {text("subject", "About id")}
      </div>
      {error && <Failure title="The log cannot be read">{error}</Failure>}
      {!error && !isBusy && entries.length === 0 && <p class="nothing">No entries{next ? " among the newest" : ""}.</p>}
      {entries.length > 0 && (
        <Table
          label="Entries"
          heads={["Position", "Time", "Event", "Client", "About", "Address", "Detail"]}
          numbers={[0]}
          rows={entries.map((one) => [
            number(one.position),
            time(one.time),
            one.event.replaceAll("_", " "),
            <code>{plain(one.client_id.slice(0, 8))}</code>,
            <code>{plain(one.subject)}</code>,
            plain(one.remote_address),
            <bdi>{plain(JSON.stringify(one.detail))}</bdi>,
          ])}
        />
      )}
      <div class="bar">
        <span class="muted" aria-live="polite">
          {isBusy ? "Reading …" : ""}
        </span>
        {next && (
          <button type="button" disabled={isBusy} onClick={() => void load(next)}>
            Older entries
          </button>
        )}
      </div>
    </section>
  );
}
