// What an operator sees: the node's health, the sources, and what runs or waits, with its stop buttons.
import { useEffect, useState } from "preact/hooks";
import { type Options, type Run, api, call } from "./api.ts";
import { duration, number, plain } from "./format.ts";
import { href } from "./router.ts";
import { Failure, State, messageOf, useLoaded, useTitle } from "./ui.tsx";

const LIVE = new URLSearchParams({ "filter[]": "state.IN:[accepted,in_progress]", page_size: "99" });
const EVERY_MS = 2000;

interface Health {
  status: string;
  checks?: Record<string, string>;
  sandbox?: string;
}

export function OperatePage({ entity, options, mayCancel }: { entity: string; options: Options; mayCancel: boolean }) {
  useTitle("Operate");
  const [turn, setTurn] = useState(0);
  const [failed, setFailed] = useState<string>();
  const [asked, setAsked] = useState<string[]>([]);
  const runs = useLoaded((signal) => api.runs(LIVE, signal).then((page) => page.data), [entity, turn]);
  const health = useLoaded(() => call<Health>("readyz", { quiet: true }), [turn]);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setTurn((before) => before + 1), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const stop = async (run: Run) => {
    setAsked((before) => [...before, run.id]);
    try {
      await api.cancel(run.id);
      setFailed(undefined);
    } catch (failure) {
      setFailed(messageOf(failure));
      setAsked((before) => before.filter((one) => one !== run.id));
    }
    runs.reload();
  };
  const live = runs.value ?? [];
  return (
    <main id="main" class="page">
      <h1>Operate</h1>
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
      <section aria-label="Live runs">
        <h2>Running and waiting</h2>
        {(runs.error ?? failed) && <Failure title="That did not work">{runs.error ?? failed}</Failure>}
        {runs.value && live.length === 0 && <p class="nothing">Nothing runs, and nothing waits.</p>}
        {live.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Live runs">
            <table class="runs">
              <thead>
                <tr>
                  <th scope="col">State</th>
                  <th scope="col">Statement</th>
                  <th scope="col">Started by</th>
                  <th scope="col">Source</th>
                  <th scope="col">For</th>
                  <th scope="col">
                    <span class="unseen">Stop</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {live.map((run) => (
                  <tr key={run.id}>
                    <td>
                      <State of={run} />
                    </td>
                    <td class="statement">
                      <a href={href(`runs/${run.id}`)}>
                        <bdi>{plain(run.sql.slice(0, 160)).replaceAll("⏎", " ")}</bdi>
                      </a>
                    </td>
                    <td>
                      <code>{run.created_by_id.slice(0, 8)}</code>
                    </td>
                    <td>{run.source}</td>
                    <td class="number">{run.created_time && duration(Date.now() - Date.parse(run.created_time))}</td>
                    <td>
                      {mayCancel && (
                        <button type="button" class="stop" disabled={asked.includes(run.id)} onClick={() => void stop(run)}>
                          {asked.includes(run.id) ? "Stopping …" : "Stop"}
                        </button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {live.length > 0 && <p class="muted">{number(live.length)} live; this list renews itself.</p>}
      </section>
    </main>
  );
}
