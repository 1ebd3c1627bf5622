// History: the runs, newest first, with filters and stable pages.
import { useEffect, useState } from "preact/hooks";
import { type Options, type Run, api } from "./api.ts";
import { between, bytes, duration, number, plain, time } from "./format.ts";
import { go, href } from "./router.ts";
import { Failure, State, messageOf, useTitle } from "./ui.tsx";

const STATES = ["accepted", "in_progress", "complete", "failed", "canceled"];
const PAGE_SIZE = 50;
const SEARCH_PAGE_SIZE = 99;
const SEARCH_PAGES = 50;

export function RunsPage({ entity, options, query, me }: { entity: string; options: Options; query: URLSearchParams; me: string }) {
  const [pages, setPages] = useState<Run[][]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(true);
  const [text, setText] = useState("");
  const [picked, setPicked] = useState<string[]>([]);
  useTitle("Runs");

  const word = text.trim().toLowerCase();
  const has = (run: Run) => run.sql.toLowerCase().includes(word) || run.id.includes(word);

  /** One page or, while a text is searched for, as many as it takes to find a page of it, within a bound. */
  const load = async (cursor: string | null, signal?: AbortSignal) => {
    setBusy(true);
    try {
      let at = cursor;
      let hits = 0;
      for (let turn = 0; turn < (word ? SEARCH_PAGES : 1) && hits < PAGE_SIZE; turn++) {
        const page = await api.runs(conditions(query, me, at, word ? SEARCH_PAGE_SIZE : PAGE_SIZE), signal);
        const isFirst = at === null;
        setPages((before) => (isFirst ? [page.data] : [...before, page.data]));
        setNext(page.next_page);
        hits += page.data.filter(has).length;
        at = page.next_page;
        if (at === null) break;
      }
      setError(undefined);
    } catch (failure) {
      if (!signal?.aborted) setError(messageOf(failure));
    } finally {
      if (!signal?.aborted) setBusy(false);
    }
  };
  useEffect(() => {
    const stop = new AbortController();
    void load(null, stop.signal);
    return () => stop.abort();
  }, [query.toString(), entity]);

  const filter = (name: string, value: string) => {
    const changed = new URLSearchParams(query);
    if (value) changed.set(name, value);
    else changed.delete(name);
    go(`runs?${changed}`);
  };
  const all = pages.flat();
  const found = word ? all.filter(has) : all;
  const choose = (name: string, label: string, values: string[]) => (
    <label class="inline">
      {label}{" "}
      <select value={query.get(name) ?? ""} onChange={(event) => filter(name, event.currentTarget.value)}>
        <option value="">any</option>
        {values.map((value) => (
          <option value={value}>{value.replace("_", " ")}</option>
        ))}
      </select>
    </label>
  );
  return (
    <main id="main" class="page">
      <h1>Runs</h1>
      <div class="bar filters">
        {choose("state", "State", STATES)}
        {options.sources.length > 1 && choose("source", "Source", options.sources.map((one) => one.name))}
        {choose("who", "By", ["me"])}
        <label class="inline">
          From <input type="date" value={query.get("from") ?? ""} onChange={(event) => filter("from", event.currentTarget.value)} />
        </label>
        <label class="inline">
          To <input type="date" value={query.get("to") ?? ""} onChange={(event) => filter("to", event.currentTarget.value)} />
        </label>
        <label class="inline">
          Tag{" "}
          <input placeholder="team=finance" value={query.get("tag") ?? ""} onChange={(event) => filter("tag", event.currentTarget.value.trim())} />
        </label>
        <label class="inline">
          Text <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="button" class="quiet" onClick={() => void load(null)}>
          Reload
        </button>
      </div>
      {error && <Failure title="The runs cannot be listed">{error}</Failure>}
      {!error && !isBusy && all.length === 0 && (
        <p class="nothing">
          No runs {query.size > 0 ? "with these filters" : "yet"}. <a href={href("")}>Write a statement</a>
        </p>
      )}
      {found.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Runs">
          <table class="runs">
            <thead>
              <tr>
                <th scope="col">
                  <span class="unseen">Compare</span>
                </th>
                <th scope="col">State</th>
                <th scope="col">Statement</th>
                <th scope="col">Started by</th>
                <th scope="col">Created</th>
                <th scope="col">Took</th>
                <th scope="col">Rows</th>
                <th scope="col">Size</th>
              </tr>
            </thead>
            <tbody>
              {found.map((run) => (
                <tr key={run.id}>
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`Compare run ${run.id}`}
                      checked={picked.includes(run.id)}
                      onChange={() =>
                        setPicked(picked.includes(run.id) ? picked.filter((one) => one !== run.id) : [...picked, run.id].slice(-2))
                      }
                    />
                  </td>
                  <td>
                    <State of={run} />
                  </td>
                  <td class="statement">
                    <a href={href(`runs/${run.id}`)}>
                      <bdi>{plain(run.sql.slice(0, 200)).replaceAll("⏎", " ")}</bdi>
                    </a>
                    {run.error && <small class="bad"> {run.error.code}</small>}
                    {run.cancellation && <small class="muted"> {stopNote(run, me)}</small>}
                  </td>
                  <td>{run.created_by_id === me ? "me" : <code>{run.created_by_id.slice(0, 8)}</code>}</td>
                  <td>{run.created_time && time(run.created_time)}</td>
                  <td class="number">{run.created_time && duration(between(run.created_time, run.updated_time))}</td>
                  <td class="number">{run.number_of_rows !== undefined && number(run.number_of_rows)}</td>
                  <td class="number">{run.file?.size !== undefined && bytes(run.file.size)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div class="bar">
        <span class="muted" aria-live="polite">
          {isBusy ? "Reading runs …" : all.length > 0 ? `${number(found.length)} of ${number(all.length)} runs that are loaded` : ""}
        </span>
        <span class="grow" />
        {picked.length === 2 && (
          <a class="button" href={href(`compare?a=${picked[0]}&b=${picked[1]}`)}>
            Compare these two
          </a>
        )}
        {next && (
          <button type="button" onClick={() => void load(next)} disabled={isBusy}>
            {word ? "Search older runs" : "Older runs"}
          </button>
        )}
      </div>
    </main>
  );
}

function stopNote(run: Run, me: string): string {
  const record = run.cancellation;
  if (!record) return "";
  const who = record.canceled_by ? (record.canceled_by === me ? " by me" : ` by ${record.canceled_by.slice(0, 8)}`) : "";
  const took = record.canceled_time ? `, proven after ${duration(between(record.requested_time, record.canceled_time))}` : "";
  return `stopped (${record.reason})${who}${took}`;
}

/** The page's filters as the API's conditions. Days are the person's own. */
function conditions(query: URLSearchParams, me: string, cursor: string | null, pageSize: number): URLSearchParams {
  const found = new URLSearchParams({ page_size: String(pageSize) });
  const add = (clause: string) => found.append("filter[]", clause);
  const state = query.get("state");
  if (state) add(`state.EQ:${state}`);
  if (query.get("source")) add(`source.EQ:${query.get("source")}`);
  if (query.get("who") === "me") add(`created_by_id.EQ:${me}`);
  if (query.get("from")) add(`created_time.GE:${new Date(`${query.get("from")}T00:00:00`).toISOString()}`);
  if (query.get("to")) add(`created_time.LE:${new Date(`${query.get("to")}T23:59:59.999`).toISOString()}`);
  const [name, ...value] = (query.get("tag") ?? "").split("=");
  if (name && value.length > 0) add(`tags[${name}].EQ:${value.join("=")}`);
  if (cursor) found.set("cursor", cursor);
  return found;
}
