// Saved statements: names, folders, one's own or shared in the entity.
import { useState } from "preact/hooks";
import { type Statement, api } from "./api.ts";
import { number, plain, time } from "./format.ts";
import { go, href } from "./router.ts";
import { Dialog, Failure, messageOf, useLoaded, useTitle } from "./ui.tsx";

interface SaveProps {
  sql: string;
  source: string;
  statement?: Statement;
  onClose: () => void;
}

export function SaveDialog({ sql, source, statement, onClose }: SaveProps) {
  const [error, setError] = useState<string>();
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const body = {
      name: String(fields.get("name")),
      folder: String(fields.get("folder")),
      shared: fields.get("shared") !== null,
      sql,
      source,
    };
    try {
      const asNew = (event.submitter as HTMLButtonElement | null)?.value === "new";
      const saved = await api.saveStatement(body, asNew ? undefined : statement?.id);
      onClose();
      go(`statements/${saved.id}`);
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  return (
    <Dialog title="Save the statement" onClose={onClose}>
      <form onSubmit={save}>
        <label>
          Name
          <input name="name" value={statement?.name ?? ""} maxLength={200} required autofocus />
        </label>
        <label>
          Folder
          <input name="folder" value={statement?.folder ?? ""} maxLength={200} placeholder="finance/month end" />
        </label>
        <label class="inline">
          <input type="checkbox" name="shared" checked={statement?.shared ?? false} /> Everybody of this entity may use it
        </label>
        {error && <Failure title="It was not saved">{error}</Failure>}
        <div class="bar">
          <button type="submit" class="primary" value="save">
            {statement ? "Save changes" : "Save"}
          </button>
          {statement && (
            <button type="submit" value="new">
              Save as a new one
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

export function StatementsPage({ entity, me }: { entity: string; me: string }) {
  useTitle("Statements");
  const { value, error, reload } = useLoaded(() => api.statements().then((found) => found.data), [entity]);
  const [failed, setFailed] = useState<string>();
  const [word, setWord] = useState("");
  const hit = (one: Statement) => `${one.folder} ${one.name} ${one.sql}`.toLowerCase().includes(word.trim().toLowerCase());
  const found = (value ?? []).filter(hit);
  const folders = [...new Set(found.map((one) => one.folder))].sort();
  const remove = async (one: Statement) => {
    if (!confirm(`Delete “${one.name}”?`)) return;
    try {
      await api.deleteStatement(one.id);
      reload();
    } catch (failure) {
      setFailed(messageOf(failure));
    }
  };
  return (
    <main id="main" class="page">
      <h1>Statements</h1>
      {(value?.length ?? 0) > 0 && (
        <div class="bar">
          <label class="inline">
            Find <input type="search" value={word} onInput={(event) => setWord(event.currentTarget.value)} />
          </label>
          <span class="muted">{number(found.length)}</span>
        </div>
      )}
      {(error ?? failed) && <Failure title="That did not work">{error ?? failed}</Failure>}
      {value?.length === 0 && (
        <p class="nothing">
          Nothing is saved yet. <a href={href("")}>Write a statement</a>, then save it.
        </p>
      )}
      {folders.map((folder) => (
        <section aria-label={folder || "No folder"}>
          <h2>{plain(folder) || "No folder"}</h2>
          <ul class="plain list">
            {found
              .filter((one) => one.folder === folder)
              .map((one) => (
                <li class="bar" key={one.id}>
                  <a href={href(`statements/${one.id}`)}>
                    <bdi>{plain(one.name)}</bdi>
                  </a>
                  <code class="snippet">
                    <bdi>{plain(one.sql.slice(0, 120)).replaceAll("⏎", " ")}</bdi>
                  </code>
                  <span class="grow" />
                  <small class="muted">
                    {one.shared ? "shared" : "mine alone"} · {time(one.updated_time)}
                  </small>
                  {one.created_by_id === me && (
                    <button type="button" class="quiet" onClick={() => void remove(one)} aria-label={`Delete ${one.name}`}>
                      Delete
                    </button>
                  )}
                </li>
              ))}
          </ul>
        </section>
      ))}
    </main>
  );
}
