// Now: nodes, sources and their limits, the queue by entity, and what runs or waits, with its stop buttons.
import { useEffect, useState } from "preact/hooks";
import { type LiveRun, type Options, type Run, admin, api, call } from "./api.ts";
import { duration, number, plain } from "./format.ts";
import type { Rights } from "./operate.tsx";
import { href } from "./router.ts";
import { Table } from "./table.tsx";
import { Failure, State, messageOf, useLoaded } from "./ui.tsx";

const LIVE = new URLSearchParams({ "filter[]": "state.IN:[accepted,in_progress]", page_size: "99" });
const EVERY_MS = 2000;

interface Health {
  status: string;
  checks?: Record<string, string>;
  sandbox?: string;
}

interface Props {
  entity: string;
  options: Options;
  rights: Rights;
  me: string;
}

/** A number that grows while somebody looks, to load things anew. */
function useTurns(): number {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setTurn((before) => before + 1), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return turn;
}

export function NowPart({ entity, options, rights, me }: Props) {
  const turn = useTurns();
  return (
    <>
      <HealthPart turn={turn} />
      {rights.read && <Nodes turn={turn} />}
      {rights.read ? <Limits turn={turn} /> : <Sources options={options} />}
      <OwnRuns entity={entity} turn={turn} mayCancel={rights.cancel} />
      {rights.read && <AllRuns turn={turn} rights={rights} me={me} />}
    </>
  );
}

function HealthPart({ turn }: { turn: number }) {
  const health = useLoaded(() => call<Health>("readyz", { quiet: true }), [turn]);
  return (
    <section aria-label="This node">
      <h2>This node</h2>
      {health.error && <Failure title="It is not ready">{health.error}</Failure>}
      {health.value && (
        <dl class="facts">
          <dt>Status</dt>
          <dd>{health.value.status}</dd>
          {Object.entries(health.value.checks ?? {}).map(([name, value]) => (
            <>
              <dt>{name}</dt>
              <dd class={value === "ok" ? "" : "bad"}>{plain(value)}</dd>
            </>
          ))}
          {health.value.sandbox && (
            <>
              <dt>Walls</dt>
              <dd>{health.value.sandbox}</dd>
            </>
          )}
        </dl>
      )}
    </section>
  );
}

function Nodes({ turn }: { turn: number }) {
  const { value, error } = useLoaded(() => admin.nodes(), [turn]);
  return (
    <section aria-label="Nodes">
      <h2>Nodes</h2>
      {error && <Failure title="The nodes cannot be listed">{error}</Failure>}
      {value && (
        <Table
          label="Live nodes"
          heads={["Node", "Runs statements", "Slots", "Sources", "Version"]}
          numbers={[2]}
          rows={value.map((one) => [
            <code>
              {one.name}
              {one.is_self && " (this one)"}
            </code>,
            one.is_worker ? "yes" : "no",
            number(one.slots),
            one.sources.map(plain).join(", "),
            one.version,
          ])}
        />
      )}
    </section>
  );
}

function Sources({ options }: { options: Options }) {
  return (
    <section aria-label="Sources">
      <h2>Sources</h2>
      <ul class="plain list">
        {options.sources.map((one) => (
          <li class="bar">
            <strong>{one.name}</strong> <span class="muted">{one.dialect}</span>
            <span class={one.problem ? "bad" : "muted"}>{one.problem ? plain(one.problem) : "available"}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Limits({ turn }: { turn: number }) {
  const { value, error } = useLoaded(() => admin.sources(), [turn]);
  const limit = (found: number | undefined) => (found ? number(found) : "none");
  return (
    <section aria-label="Sources">
      <h2>Sources</h2>
      {error && <Failure title="The sources cannot be listed">{error}</Failure>}
      {value && (
        <Table
          label="Sources and limits"
          heads={["Source", "Dialect", "State", "Running, tenant", "Running, entity", "Queued, entity", "Rows", "Seconds"]}
          numbers={[3, 4, 5, 6, 7]}
          rows={value.map((one) => [
            one.name,
            one.dialect,
            one.unavailable_reason ? <span class="bad">{plain(one.unavailable_reason)}</span> : "available",
            limit(one.limits.running_per_tenant),
            limit(one.limits.running_per_entity),
            limit(one.limits.queued_per_entity),
            limit(one.limits.output_rows),
            limit(one.limits.time_s),
          ])}
        />
      )}
    </section>
  );
}

/** Stop buttons: which were pressed, and what went wrong. */
function useStops(stop: (id: string) => Promise<unknown>, reload: () => void) {
  const [failed, setFailed] = useState<string>();
  const [asked, setAsked] = useState<string[]>([]);
  const press = async (id: string) => {
    setAsked((before) => [...before, id]);
    try {
      await stop(id);
      setFailed(undefined);
    } catch (failure) {
      setFailed(messageOf(failure));
      setAsked((before) => before.filter((one) => one !== id));
    }
    reload();
  };
  const button = (id: string) => (
    <button type="button" class="stop" disabled={asked.includes(id)} onClick={() => void press(id)}>
      {asked.includes(id) ? "Stopping …" : "Stop"}
    </button>
  );
  return { failed, button };
}

const since = (iso: string | undefined) => (iso ? duration(Date.now() - Date.parse(iso)) : "");

/** Runs that the client may read, with their statements. */
function OwnRuns({ entity, turn, mayCancel }: { entity: string; turn: number; mayCancel: boolean }) {
  const runs = useLoaded((signal) => api.runs(LIVE, signal).then((page) => page.data), [entity, turn]);
  const stops = useStops((id) => api.cancel(id), runs.reload);
  const live: Run[] = runs.value ?? [];
  return (
    <section aria-label="Live runs">
      <h2>Running and waiting here</h2>
      {(runs.error ?? stops.failed) && <Failure title="That did not work">{runs.error ?? stops.failed}</Failure>}
      {runs.value && live.length === 0 && <p class="nothing">Nothing runs, and nothing waits.</p>}
      {live.length > 0 && (
        <Table
          label="Runs here"
          heads={["State", "Statement", "Started by", "Source", "For", "Stop"]}
          numbers={[4]}
          rows={live.map((run) => [
            <State of={run} />,
            <a class="statement" href={href(`runs/${run.id}`)}>
              <bdi>{plain(run.sql.slice(0, 160)).replaceAll("⏎", " ")}</bdi>
            </a>,
            <code>{run.created_by_id.slice(0, 8)}</code>,
            run.source,
            since(run.created_time),
            mayCancel && stops.button(run.id),
          ])}
        />
      )}
      {live.length > 0 && <p class="muted">{number(live.length)} live; this list renews itself.</p>}
    </section>
  );
}

interface Queue {
  entity: string;
  running: number;
  waiting: number;
  oldest: string;
}

/** How much of each entity runs and waits, and since when the oldest of it does. */
export function queuesOf(runs: LiveRun[]): Queue[] {
  const found = new Map<string, Queue>();
  for (const run of runs) {
    const queue = found.get(run.entity_id) ?? { entity: run.entity_id, running: 0, waiting: 0, oldest: run.created_time };
    if (run.state === "in_progress") queue.running += 1;
    else queue.waiting += 1;
    if (run.created_time < queue.oldest) queue.oldest = run.created_time;
    found.set(run.entity_id, queue);
  }
  return [...found.values()].sort((one, other) => other.waiting - one.waiting || other.running - one.running);
}

/** Of the whole tenant, whose statements an administrator stops without reading them. */
function AllRuns({ turn, rights, me }: { turn: number; rights: Rights; me: string }) {
  const runs = useLoaded(() => admin.runs(), [turn]);
  const entities = useLoaded(() => admin.entities(), []);
  const stops = useStops((id) => admin.stop(id), runs.reload);
  const name = (id: string) => entities.value?.find((one) => one.id === id)?.name ?? id.slice(0, 8);
  const live = runs.value ?? [];
  return (
    <section aria-label="The tenant">
      <h2>The whole tenant</h2>
      {(runs.error ?? stops.failed) && <Failure title="That did not work">{runs.error ?? stops.failed}</Failure>}
      {runs.value && live.length === 0 && <p class="nothing">No entity has anything running or waiting.</p>}
      {live.length > 0 && (
        <>
          <Table
            label="Queue by entity"
            heads={["Entity", "Running", "Waiting", "Oldest"]}
            numbers={[1, 2, 3]}
            rows={queuesOf(live).map((one) => [name(one.entity), number(one.running), number(one.waiting), since(one.oldest)])}
          />
          <Table
            label="Runs of the tenant"
            heads={["State", "Run", "Entity", "Client", "Source", "For", "Stop"]}
            numbers={[5]}
            rows={live.map((run) => [
              run.state === "in_progress" ? "Running" : "Waiting",
              <code>{run.id.slice(0, 8)}</code>,
              name(run.entity_id),
              run.client_id === me ? "me" : <code>{run.client_id.slice(0, 8)}</code>,
              run.source,
              since(run.created_time),
              rights.write && stops.button(run.id),
            ])}
          />
        </>
      )}
    </section>
  );
}
