// The tables of a source: columns and types, files, rows where they are known, warnings.
import { useState } from "preact/hooks";
import type { Table } from "./api.ts";
import { bytes, number, plain } from "./format.ts";
import { Failure } from "./ui.tsx";

export const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

interface Props {
  tables: Table[] | undefined;
  error: string | undefined;
  onInsert: (text: string) => void;
  onLook: (table: Table) => void;
  onReload: () => void;
}

export function Tables({ tables, error, onInsert, onLook, onReload }: Props) {
  const [search, setSearch] = useState("");
  const word = search.trim().toLowerCase();
  const hit = (table: Table) =>
    table.name.toLowerCase().includes(word) || (table.columns ?? []).some((column) => column.name.toLowerCase().includes(word));
  const found = (tables ?? []).filter(hit);
  return (
    <section class="tables" aria-label="Tables">
      <div class="bar">
        <h2>Tables</h2>
        <span class="muted">{tables ? number(tables.length) : ""}</span>
        <span class="grow" />
        <button type="button" class="quiet" onClick={onReload}>
          Reload
        </button>
      </div>
      {(tables?.length ?? 0) > 5 && (
        <label>
          <span class="unseen">Find a table or a column</span>
          <input type="search" placeholder="Find a table or column" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        </label>
      )}
      {error && <Failure title="The tables cannot be listed">{error}</Failure>}
      {!tables && !error && <p class="muted">Reading tables …</p>}
      {tables?.length === 0 && <p class="nothing">This entity has no tables in this source. Put files into its data directory, then reload.</p>}
      {tables && tables.length > 0 && found.length === 0 && <p class="nothing">No table or column has this name.</p>}
      <ul class="plain">
        {found.slice(0, MAX_TABLES).map((table) => (
          <li key={table.name}>
            <OneTable table={table} onInsert={onInsert} onLook={onLook} />
          </li>
        ))}
      </ul>
      {found.length > MAX_TABLES && <p class="muted">{number(found.length - MAX_TABLES)} more: narrow the search.</p>}
    </section>
  );
}

const MAX_TABLES = 300; // drawn at once

function OneTable({ table, onInsert, onLook }: { table: Table } & Pick<Props, "onInsert" | "onLook">) {
  const facts = [
    table.format,
    table.files !== null && `${number(table.files)} ${table.files === 1 ? "file" : "files"}`,
    table.size_bytes !== null && bytes(table.size_bytes),
    table.rows !== null && `${number(table.rows)} rows`,
  ].filter(Boolean);
  const hasNotice = table.problem !== null || table.warnings.length > 0;
  return (
    <details class="table">
      <summary>
        <bdi>{plain(table.name)}</bdi>
        {hasNotice && <span class="notice"> ⚠ {table.problem ? "not readable" : "warnings"}</span>}
      </summary>
      <p class="muted">{facts.join(" · ")}</p>
      {table.problem && <Failure>{plain(table.problem)}</Failure>}
      {table.warnings.map((warning) => (
        <p class="notice">⚠ {plain(warning)}</p>
      ))}
      <div class="bar">
        <button type="button" class="quiet" onClick={() => onInsert(quoted(table.name))}>
          Insert name
        </button>
        <button type="button" class="quiet" onClick={() => onLook(table)} disabled={table.problem !== null}>
          First rows
        </button>
      </div>
      <ul class="plain columns">
        {(table.columns ?? []).map((column) => (
          <li>
            <button type="button" class="column" title={`Insert ${column.name}`} onClick={() => onInsert(quoted(column.name))}>
              <bdi>{plain(column.name)}</bdi> <small>{column.type}</small>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
