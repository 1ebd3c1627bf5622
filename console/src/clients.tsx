// The tenant's clients: make, rotate, revoke. A secret is on the screen once, and nowhere else.
import { useState } from "preact/hooks";
import { type Client, admin } from "./api.ts";
import { plain, time } from "./format.ts";
import type { Rights } from "./operate.tsx";
import { Table } from "./table.tsx";
import { Copy, Dialog, Failure, messageOf, useLoaded } from "./ui.tsx";

const SCOPES = ["read", "submit", "cancel", "admin", "tenant_admin", "admin:read", "admin:write"];
const USUAL = ["read", "submit", "cancel"];
const GRACE_S = 24 * 3600;

export function ClientsPart({ rights, me }: { rights: Rights; me: string }) {
  const { value, error, reload } = useLoaded(() => admin.clients(), []);
  const [failed, setFailed] = useState<string>();
  const [isMaking, setMaking] = useState(false);
  const [issued, setIssued] = useState<Client>();
  const change = async (work: () => Promise<Client>) => {
    try {
      const client = await work();
      if (client.secret) setIssued(client);
      setFailed(undefined);
    } catch (failure) {
      setFailed(messageOf(failure));
    }
    reload();
  };
  const rotate = (one: Client) =>
    confirm(`Give “${one.name}” a new secret? The one before stays valid for a day.`) && change(() => admin.rotate(one.id, GRACE_S));
  const revoke = (one: Client) =>
    confirm(`Revoke “${one.name}” for good? Its tokens end at once, and its runs are canceled.`) && change(() => admin.revoke(one.id));
  return (
    <section aria-label="Clients">
      <div class="bar">
        <h2>Clients</h2>
        <span class="grow" />
        {rights.write && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New client
          </button>
        )}
      </div>
      {(error ?? failed) && <Failure title="That did not work">{error ?? failed}</Failure>}
      {value && (
        <Table
          label="All clients"
          heads={["Name", "Id", "Entities", "Scopes", "Orgs", "Created", "Change"]}
          rows={value.map((one) => [
            plain(one.name),
            <code>{one.id}</code>,
            one.entities.map((entity) => entity.name).join(", "),
            one.scopes.join(", "),
            one.org_ids.map(plain).join(", "),
            time(one.created_time),
            one.revoked_time ? (
              <span class="muted">revoked {time(one.revoked_time)}</span>
            ) : (
              rights.write && (
                <span class="bar">
                  <button type="button" onClick={() => void rotate(one)}>
                    Rotate
                  </button>
                  {one.id !== me && (
                    <button type="button" class="stop" onClick={() => void revoke(one)}>
                      Revoke
                    </button>
                  )}
                </span>
              )
            ),
          ])}
        />
      )}
      {isMaking && <NewClient onClose={() => setMaking(false)} onMade={(client) => void change(async () => client)} />}
      {issued?.secret && (
        <Dialog title="The secret, this once" onClose={() => setIssued(undefined)}>
          <p>
            “{plain(issued.name)}” signs in with these. The secret is not kept anywhere that it could be read again.
          </p>
          <dl class="facts">
            <dt>Client id</dt>
            <dd>
              <code class="long">{issued.id}</code>
            </dd>
            <dt>Client secret</dt>
            <dd>
              <code class="long">{issued.secret}</code>
            </dd>
          </dl>
          <Copy text={() => issued.secret ?? ""} label="Copy the secret" />
        </Dialog>
      )}
    </section>
  );
}

function NewClient({ onClose, onMade }: { onClose: () => void; onMade: (client: Client) => void }) {
  const entities = useLoaded(() => admin.entities(), []);
  const [error, setError] = useState<string>();
  const make = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const orgs = String(fields.get("orgs")).split(",").map((one) => one.trim()).filter(Boolean);
    try {
      const client = await admin.create({
        id: crypto.randomUUID(),
        name: String(fields.get("name")),
        entities: fields.getAll("entity").map(String),
        scopes: fields.getAll("scope").map(String),
        org_ids: orgs,
      });
      onClose();
      onMade(client);
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  const choices = (legend: string, name: string, values: [string, string][], chosen: string[]) => (
    <fieldset>
      <legend>{legend}</legend>
      {values.map(([value, label]) => (
        <label class="inline">
          <input type="checkbox" name={name} value={value} checked={chosen.includes(value)} /> {label}{" "}
        </label>
      ))}
    </fieldset>
  );
  const known = entities.value ?? [];
  return (
    <Dialog title="New client" onClose={onClose}>
      <form onSubmit={make}>
        <label>
          Name
          <input name="name" maxLength={200} required autofocus />
        </label>
        {choices("Entities", "entity", known.map((one) => [one.id, one.name]), known.length === 1 ? known.map((one) => one.id) : [])}
        {choices("Scopes", "scope", SCOPES.map((one) => [one, one]), USUAL)}
        <label>
          Orgs, separated by commas; empty: every row
          <input name="orgs" />
        </label>
        {(error ?? entities.error) && <Failure title="It was not made">{error ?? entities.error}</Failure>}
        <div class="bar">
          <button type="submit" class="primary">
            Create
          </button>
        </div>
      </form>
    </Dialog>
  );
}
