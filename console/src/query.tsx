// The page to ask: tables, editor, options, and the run below.
import type { EditorView } from "@codemirror/view";
import { Suspense, lazy } from "preact/compat";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Column, type Finding, type Options, type Run, type Statement, type Table, api } from "./api.ts";
import { formatSql } from "./format-sql.ts";
import { KINDS, bound, boundNames, filledIn, parametersOf } from "./parameters.ts";
import { RunView } from "./run.tsx";
import { SaveDialog } from "./saved.tsx";
import { Tables, quoted } from "./tables.tsx";
import { Failure, messageOf, useLoaded, useRemembered, useTitle } from "./ui.tsx";

const Editor = lazy(() => import("./editor.tsx"));

interface Props {
  entity: string;
  options: Options;
  scopes: string[];
  first?: { sql: string; source?: string; run?: Run; statement?: Statement };
}

export function QueryPage({ entity, options, scopes, first }: Props) {
  const defaultSource = options.sources.find((one) => one.is_default)?.name ?? options.sources[0]?.name ?? "";
  const [source, setSource] = useState(first?.source ?? defaultSource);
  const [draft, setDraft] = useRemembered(`draft.${entity}`, "");
  const [sql, setSql] = useState(first?.sql ?? draft);
  const [format, setFormat] = useRemembered("format", "csv");
  const [encoding, setEncoding] = useRemembered("encoding", "none");
  const [separator, setSeparator] = useState(";");
  const [limit, setLimit] = useState("");
  const [tags, setTags] = useState("");
  const [key, setKey] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const [kinds, setKinds] = useState<Record<string, string>>({});
  const [run, setRun] = useState<Run | undefined>(first?.run);
  const [types, setTypes] = useState<Column[] | null>(null);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const view = useRef<EditorView | undefined>(undefined);
  const tables = useLoaded(() => api.tables(source).then((found) => found.data), [source, entity]);
  useTitle(first?.statement ? first.statement.name : "Query");

  const mayRun = scopes.some((scope) => scope === "submit" || scope.includes("admin"));
  const parameters = parametersOf(sql);
  const names = boundNames(sql);

  const check = useCallback(
    async (text: string): Promise<Finding[]> => {
      if (text === "" || parametersOf(text).length + boundNames(text).length > 0) return [];
      try {
        return (await api.validate(text, source)).errors;
      } catch {
        return []; // Being told of errors early is a help, and no more.
      }
    },
    [source],
  );

  const submit = async (statement: string, contentType: string) => {
    setBusy(true);
    setError(undefined);
    try {
      const text = filledIn(statement, values);
      const body: Record<string, unknown> = { sql: text, content_type: contentType, source };
      if (encoding !== "none") body.content_encoding = encoding;
      if (options.content_types.find((one) => one.name === contentType)?.needs_separator) body.column_separator = separator;
      if (limit) body.timeout_seconds = Number(limit);
      if (key.trim()) body.encryption_key = key.trim();
      const given = bound(text, values, kinds);
      if (given.length > 0) body.parameters = given;
      const named = tagsOf(tags);
      if (Object.keys(named).length > 0) body.tags = named;
      setTypes(null);
      const created = await api.create(body);
      setRun(created);
      api.validate(text, source, undefined, given).then(
        (found) => setTypes(found.columns),
        () => setTypes(null),
      );
    } catch (failure) {
      setError(messageOf(failure));
    } finally {
      setBusy(false);
    }
  };
  const runChosen = async (before = "") => {
    if (!mayRun || isBusy) return;
    let statement = sql;
    if (view.current) {
      const { chosen } = await import("./editor.tsx");
      statement = chosen(view.current).text;
    }
    if (statement.trim() === "") setError("Write a statement first.");
    else await submit(before + statement, before ? "csv" : format);
  };

  const replace = (text: string) => {
    const editor = view.current;
    if (editor) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
    else setSql(text);
  };
  const insert = (text: string) => {
    const editor = view.current;
    if (!editor) return;
    editor.dispatch(editor.state.replaceSelection(text));
    editor.focus();
  };
  const look = (table: Table) => void submit(`SELECT * FROM ${quoted(table.name)} LIMIT 100`, format);

  useEffect(() => {
    if (first?.statement === undefined && first?.run === undefined) setDraft(sql);
  }, [sql]);

  const chosenFormat = options.content_types.find((one) => one.name === format);
  return (
    <div class="query">
      <details class="side" open={matchMedia("(min-width: 60rem)").matches}>
        <summary>Tables</summary>
        <Tables tables={tables.value} error={tables.error} onInsert={insert} onLook={look} onReload={tables.reload} />
      </details>
      <main id="main">
        <h1 class="unseen">{first?.statement ? first.statement.name : "Query"}</h1>
        <Suspense fallback={<div class="editor waiting-editor muted">Loading the editor …</div>}>
          <Editor
            value={sql}
            label="Statement in Trino's SQL"
            tables={tables.value ?? NONE}
            onChange={setSql}
            onRun={() => void runChosen()}
            check={check}
            ready={(created) => {
              view.current = created;
            }}
          />
        </Suspense>
        {parameters.length + names.length > 0 && (
          <fieldset class="bar">
            <legend>Parameters</legend>
            {parameters.map((one) => (
              <label class="inline">
                {one.name} <small class="muted">{one.kind}</small>{" "}
                <input
                  value={values[one.name] ?? ""}
                  onInput={(event) => setValues({ ...values, [one.name]: event.currentTarget.value })}
                />
              </label>
            ))}
            {names.map((name) => (
              <span class="inline">
                <label class="inline">
                  :{name}{" "}
                  <input
                    value={values[name] ?? ""}
                    disabled={kinds[name] === "null"}
                    onInput={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
                  />
                </label>{" "}
                <select
                  aria-label={`Type of :${name}`}
                  value={kinds[name] ?? KINDS[0]}
                  onChange={(event) => setKinds({ ...kinds, [name]: event.currentTarget.value })}
                >
                  {KINDS.map((kind) => (
                    <option value={kind}>{kind}</option>
                  ))}
                </select>
              </span>
            ))}
          </fieldset>
        )}
        <div class="bar">
          <button type="button" class="primary" onClick={() => void runChosen()} disabled={!mayRun || isBusy} title="Ctrl+Enter: the selection, or the statement at the cursor">
            {isBusy ? "Sending …" : "Run"}
          </button>
          <label class="inline">
            Source{" "}
            <select value={source} onChange={(event) => setSource(event.currentTarget.value)}>
              {options.sources.map((one) => (
                <option value={one.name}>
                  {one.name}
                  {one.problem ? " (not available)" : ""}
                </option>
              ))}
            </select>
          </label>
          <label class="inline">
            Format{" "}
            <select value={format} onChange={(event) => setFormat(event.currentTarget.value)}>
              {options.content_types.map((one) => (
                <option value={one.name}>{one.name}</option>
              ))}
            </select>
          </label>
          {chosenFormat?.needs_separator && (
            <label class="inline">
              Separator <input class="short" value={separator} onInput={(event) => setSeparator(event.currentTarget.value)} />
            </label>
          )}
          <span class="grow" />
          <button type="button" class="quiet" onClick={() => void runChosen("EXPLAIN ")} disabled={!mayRun || isBusy}>
            Plan
          </button>
          <button type="button" class="quiet" onClick={() => replace(formatSql(sql))}>
            Tidy
          </button>
          <button type="button" class="quiet" onClick={() => setSaving(true)}>
            Save
          </button>
        </div>
        <details>
          <summary>More options</summary>
          <div class="bar">
            <label class="inline">
              Compression{" "}
              <select value={encoding} onChange={(event) => setEncoding(event.currentTarget.value)}>
                {options.content_encodings.map((one) => (
                  <option value={one}>{one}</option>
                ))}
              </select>
            </label>
            <label class="inline">
              Time limit, seconds{" "}
              <input class="short" inputMode="decimal" value={limit} onInput={(event) => setLimit(event.currentTarget.value)} />
            </label>
            <label class="inline">
              Tags <input placeholder="team=finance" value={tags} onInput={(event) => setTags(event.currentTarget.value)} />
            </label>
            <label class="inline">
              Encryption key{" "}
              <input autocomplete="off" spellcheck={false} placeholder="a public key" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
            </label>
          </div>
          <p class="muted">
            Keys: <kbd>Ctrl</kbd>+<kbd>Enter</kbd> runs the selection or the statement at the cursor, <kbd>F8</kbd> goes to the next error,{" "}
            <kbd>Ctrl</kbd>+<kbd>Space</kbd> completes, <kbd>Esc</kbd> then <kbd>Tab</kbd> leaves the editor. <code>:name</code>, <code>{"{{name}}"}</code> and{" "}
            <code>{"{{name:number}}"}</code> are parameters.
          </p>
        </details>
        {!mayRun && <p class="notice">Your client may read runs, but not start any.</p>}
        {error && <Failure title="The statement was not accepted">{error}</Failure>}
        {run ? (
          <RunView
            key={run.id}
            id={run.id}
            first={run}
            types={types}
            formats={options.content_types.filter((one) => !one.needs_separator).map((one) => one.name)}
            mayCancel={scopes.some((scope) => scope === "cancel" || scope.includes("admin"))}
            onRunAgain={(again, contentType) => void submit(again.sql, contentType ?? again.content_type ?? format)}
          />
        ) : (
          <p class="nothing">Results are shown here.</p>
        )}
        {isSaving && <SaveDialog sql={sql} source={source} statement={first?.statement} onClose={() => setSaving(false)} />}
      </main>
    </div>
  );
}

const NONE: Table[] = [];

function tagsOf(text: string): Record<string, string> {
  const pairs = text
    .split(",")
    .map((pair) => pair.trim())
    .filter(Boolean)
    .map((pair): [string, string] => {
      const [name = "", ...value] = pair.split("=");
      return [name.trim(), value.join("=").trim()];
    });
  return Object.fromEntries(pairs);
}
