// What was used, by day, entity, client or source, and what may be used.
import { useState } from "preact/hooks";
import { type Limit, type Source, type UsageRow, api, url } from "./api.ts";
import { bytes, duration, number, plain, time } from "./format.ts";
import { go } from "./router.ts";
import { Table } from "./table.tsx";
import { Failure, useLoaded } from "./ui.tsx";

const GROUPS: [string, string][] = [
  ["day", "Day"],
  ["entity", "Entity"],
  ["client", "Client"],
  ["source", "Source"],
];
const ROWS = "99";

const figure = (row: UsageRow, name: string): number => (typeof row[name] === "number" ? row[name] : 0);

/** Runs that ended, however they did. */
function runsOf(row: UsageRow): number {
  const runs = row.runs;
  if (typeof runs === "number") return runs;
  return Object.values((runs ?? {}) as Record<string, number>).reduce((sum, one) => sum + one, 0);
}

const amount = (limit: Limit, value: number | null) =>
  value === null ? "" : limit.unit === "bytes" ? bytes(value) : `${number(value)} ${limit.unit}`;

/** What the client may use on a source, and what is left of it. */
function Limits({ entity, sources }: { entity: string; sources: Source[] }) {
  const [source, setSource] = useState(sources.find((one) => one.is_default)?.name ?? sources[0]?.name ?? "");
  const { value, error } = useLoaded(() => api.limits(source), [entity, source]);
  return (
    <section aria-label="Limits">
      <h2>Limits</h2>
      {sources.length > 1 && (
        <label class="inline">
          Source{" "}
          <select value={source} onChange={(event) => setSource(event.currentTarget.value)}>
            {sources.map((one) => (
              <option value={one.name}>{one.name}</option>
            ))}
          </select>
        </label>
      )}
      {error && <Failure title="The limits cannot be read">{error}</Failure>}
      {value && value.length === 0 && <p class="nothing">There are no limits here.</p>}
      {value && value.length > 0 && (
        <Table
          label="Limits by name"
          heads={["Limit", "Of", "Per", "At most", "Used", "Left", "Begins anew"]}
          numbers={[3, 4, 5]}
          rows={value.map((one) => [
            one.name.replaceAll("_", " "),
            one.level,
            one.period,
            amount(one, one.limit),
            amount(one, one.used),
            amount(one, one.left),
            one.resets_time ? time(one.resets_time) : "",
          ])}
        />
      )}
    </section>
  );
}

export function UsagePart({ entity, query, sources }: { entity: string; query: URLSearchParams; sources: Source[] }) {
  return (
    <>
      <Report entity={entity} query={query} />
      <Limits entity={entity} sources={sources} />
    </>
  );
}

function Report({ entity, query }: { entity: string; query: URLSearchParams }) {
  const group = GROUPS.some(([name]) => name === query.get("by")) ? (query.get("by") ?? "day") : "day";
  const asked = new URLSearchParams({ "group_by[]": group, page_size: ROWS });
  for (const name of ["first_day", "last_day"]) if (query.get(name)) asked.set(name, query.get(name) ?? "");
  const { value, error } = useLoaded(() => api.usage(asked), [entity, asked.toString()]);
  const choose = (name: string, chosen: string) => {
    const changed = new URLSearchParams(query);
    if (chosen) changed.set(name, chosen);
    else changed.delete(name);
    go(`operate/usage?${changed}`);
  };
  const keyOf = (row: UsageRow) => String(row[group] ?? row[`${group}_id`] ?? "");
  return (
    <section aria-label="Usage">
      <h2>Usage</h2>
      <div class="bar filters">
        <label class="inline">
          By{" "}
          <select value={group} onChange={(event) => choose("by", event.currentTarget.value)}>
            {GROUPS.map(([name, label]) => (
              <option value={name}>{label}</option>
            ))}
          </select>
        </label>
        <label class="inline">
          From <input type="date" value={query.get("first_day") ?? ""} onChange={(event) => choose("first_day", event.currentTarget.value)} />
        </label>
        <label class="inline">
          To <input type="date" value={query.get("last_day") ?? ""} onChange={(event) => choose("last_day", event.currentTarget.value)} />
        </label>
        <span class="muted">Days are those of UTC; this month when none is named.</span>
      </div>
      {error && <Failure title="The usage cannot be read">{error}</Failure>}
      {value && value.data.length === 0 && <p class="nothing">Nothing was used in these days.</p>}
      {value && value.data.length > 0 && (
        <Table
          label="Usage by group"
          heads={[GROUPS.find(([name]) => name === group)?.[1] ?? "", "Runs", "CPU", "Peak memory", "Read", "Written", "Downloaded"]}
          numbers={[1, 2, 3, 4, 5, 6]}
          rows={value.data.map((row) => [
            plain(keyOf(row)),
            number(runsOf(row)),
            duration(figure(row, "cpu_ms")),
            bytes(figure(row, "peak_memory_bytes")),
            bytes(figure(row, "read_bytes")),
            bytes(figure(row, "written_bytes")),
            bytes(figure(row, "downloaded_bytes")),
          ])}
        />
      )}
      {value?.next_page && <p class="muted">These are the first {ROWS}. A program reads the rest: {url("v2/usage")}</p>}
    </section>
  );
}
