// Create, wait, download, cancel, with the types that openapi-typescript makes and openapi-fetch.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Run = components["schemas"]["QueryRun"];

const [url, token, sql, runaway] = process.argv.slice(2) as [string, string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } });

async function created(statement: string): Promise<Run> {
  const { data, error } = await client.POST("/v2/query_runs", {
    body: { sql: statement, content_type: "csv", content_encoding: "none", read_deleted: false },
  });
  if (data === undefined || !("state" in data)) throw new Error(JSON.stringify(error));
  return data;
}

async function finished(run: Run): Promise<Run> {
  let last = run;
  while (last.state === "accepted" || last.state === "in_progress") {
    const { data, error } = await client.GET("/v2/query_runs/{query_run_id}", {
      params: { path: { query_run_id: last.id! }, header: { prefer: "wait=5" } },
    });
    if (data === undefined) throw new Error(JSON.stringify(error));
    last = data;
  }
  return last;
}

const done = await finished(await created(sql));
const content = await (await fetch(done.file!.url!)).text();
const second = await created(runaway);
await client.POST("/v2/query_runs/{query_run_id}/cancel", {
  params: { path: { query_run_id: second.id! } },
});
const canceled = await finished(second);
console.log(
  JSON.stringify({ state: done.state, rows: done.number_of_rows, content, canceled: canceled.state }),
);
