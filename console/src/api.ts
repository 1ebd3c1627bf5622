// The public API, called with the session's cookie. Nothing here knows a secret.
import type { Bound } from "./parameters.ts";

const root = new URL("../", document.baseURI);

export interface Problem {
  code: string;
  parameter?: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problems: Problem[],
    message: string,
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

export interface Entity {
  id: string;
  name: string;
}

export interface Session {
  client_id: string;
  client_name: string;
  scopes: string[];
  entities: Entity[];
  idle_timeout_seconds: number;
}

export interface Column {
  name: string;
  type: string;
  extra?: string;
  comment?: string;
}

export interface Table {
  name: string;
  columns: Column[] | null;
  problem: string | null;
  format: string | null;
  files: number | null;
  size_bytes: number | null;
  rows: number | null;
  version: string | null;
  warnings: string[];
}

export interface Source {
  name: string;
  is_default: boolean;
  dialect: string;
  problem: string | null;
}

export interface Format {
  name: string;
  needs_separator: boolean;
  is_text: boolean;
}

export interface Options {
  sources: Source[];
  content_types: Format[];
  content_encodings: string[];
}

export interface Cancellation {
  requested_time: string;
  canceled_time?: string;
  canceled_by?: string;
  reason: string;
  stage?: string;
  engine_stop?: string;
  steps?: { step: string; after_ms: number }[];
}

export interface RunError {
  code: string;
  message: string;
  retryable: boolean;
  line?: number;
  column?: number;
}

export interface Run {
  id: string;
  sql: string;
  state: "accepted" | "in_progress" | "complete" | "failed" | "canceled";
  created_by_id: string;
  created_time?: string;
  started_time?: string;
  updated_time: string;
  remaining_attempts: number;
  number_of_rows?: number;
  processing_duration?: number;
  column_separator?: string;
  source?: string;
  content_type?: string;
  content_encoding?: string;
  timeout_seconds?: number;
  queue_position?: number | null;
  waiting_for?: string | null;
  tags?: Record<string, string>;
  progress?: { percent: number | null; rows: number | null; size_bytes: number | null; stage?: string };
  cancellation?: Cancellation;
  attempts?: { number: number; started_time: string; ended_time?: string; outcome?: string }[];
  error?: RunError;
  file?: { id: string; url: string; size?: number; sha256?: string };
}

export type Cell = unknown;

export interface Rows {
  columns: string[];
  rows: Cell[][];
  offset: number;
  number_of_rows: number;
  more: boolean;
}

export interface Finding {
  message: string;
  line: number | null;
  column: number | null;
}

export interface Validation {
  valid: boolean;
  errors: Finding[];
  columns: Column[] | null;
}

export interface Statement {
  id: string;
  name: string;
  folder: string;
  sql: string;
  source: string | null;
  shared: boolean;
  created_by_id: string;
  created_time: string;
  updated_time: string;
}

export interface Client {
  id: string;
  tenant_id: string;
  name: string;
  entities: Entity[];
  scopes: string[];
  org_ids: string[];
  created_time: string;
  revoked_time: string | null;
  secret?: string;
}

export interface Node {
  name: string;
  is_self: boolean;
  is_worker: boolean;
  sources: string[];
  slots: number;
  version: string;
}

export interface SourceLimits extends Source {
  unavailable_reason: string | null;
  limits: Record<string, number>;
}

/** A run as `/admin/v1` shows it: without its statement. */
export interface LiveRun {
  id: string;
  entity_id: string;
  client_id: string;
  source: string;
  state: "accepted" | "in_progress";
  created_time: string;
  started_time: string | null;
}

export interface AuditEntry {
  position: number;
  time: string;
  event: string;
  client_id: string;
  subject: string;
  remote_address: string;
  detail: Record<string, unknown>;
}

export interface Limit {
  name: string;
  level: string;
  unit: string;
  period: string;
  limit: number;
  used: number | null;
  left: number | null;
  resets_time: string | null;
}

export type UsageRow = Record<string, string | number | Record<string, number> | unknown[]>;

export interface Page<T> {
  next_page: string | null;
  data: T[];
}

const RUN_FIELDS = [
  "id,sql,state,error,created_time,started_time,updated_time,queue_position,waiting_for,progress",
  "cancellation,attempts,tags,source,content_type,content_encoding,timeout_seconds,file,file.size",
  "file.sha256,number_of_rows,processing_duration,remaining_attempts,created_by_id,column_separator",
].join(",");

let entityId: string | null = null;
let onSignedOut: () => void = () => {};

/** The entity that all following requests are for. */
export function actIn(entity: string | null): void {
  entityId = entity;
}

/** Called when a request finds that the session has ended. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

export function url(path: string): string {
  return new URL(path.replace(/^\//, ""), root).href;
}

interface Call {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
  quiet?: boolean;
  headers?: Record<string, string>;
}

async function send(path: string, call: Call): Promise<Response> {
  const headers: Record<string, string> = { "x-queryrun-console": "1", ...call.headers };
  if (entityId !== null) headers["zuora-entity-ids"] = entityId;
  if (call.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(url(path), {
      method: call.method ?? "GET",
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal: call.signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, [], "The service cannot be reached. Is it running, and are you online?", null);
  }
  if (response.ok) return response;
  if (response.status === 401 && !call.quiet) onSignedOut();
  throw await errorOf(response);
}

async function errorOf(response: Response): Promise<ApiError> {
  let problems: Problem[] = [];
  try {
    problems = ((await response.json()) as { errors?: Problem[] }).errors ?? [];
  } catch {
    // A proxy's own page, perhaps: the status has to do.
  }
  const after = Number(response.headers.get("retry-after"));
  const text = problems.map((one) => one.message).join("\n") || general(response.status);
  return new ApiError(response.status, problems, text, after || null);
}

function general(status: number): string {
  if (status === 401) return "You are not signed in, or not any more.";
  if (status === 403) return "Your client may not do this.";
  if (status === 404) return "There is nothing at this address, or it is not yours to see.";
  if (status === 429) return "Too many requests. Wait a moment, then try again.";
  return `The service answered with status ${status}. Try again; its log has the details.`;
}

export async function call<T>(path: string, options: Call = {}): Promise<T> {
  const response = await send(path, options);
  return (response.status === 204 ? null : await response.json()) as T;
}

const clientPath = (id: string) => `admin/v1/clients/${encodeURIComponent(id)}`;
const WHOLE = "page_size=99";

/** Every page of a list, up to `most` items. */
async function whole<T>(path: string, most = 1000): Promise<T[]> {
  const found: T[] = [];
  let cursor = "";
  do {
    const page: Page<T> = await call<Page<T>>(`${path}${path.includes("?") ? "&" : "?"}${WHOLE}${cursor}`);
    found.push(...page.data);
    cursor = page.next_page === null ? "" : `&cursor=${encodeURIComponent(page.next_page)}`;
  } while (cursor && found.length < most);
  return found;
}

/** `/admin/v1`, for those with its scopes. */
export const admin = {
  nodes: () => call<{ data: Node[] }>("admin/v1/nodes").then((found) => found.data),
  sources: () => call<{ data: SourceLimits[] }>("admin/v1/sources").then((found) => found.data),
  entities: () => whole<Entity>("admin/v1/entities"),
  clients: () => whole<Client>("admin/v1/clients"),
  runs: () => whole<LiveRun>("admin/v1/runs"),
  stop: (id: string) => call<LiveRun>(`admin/v1/runs/${encodeURIComponent(id)}/stop`, { method: "POST" }),
  create: (body: Record<string, unknown>) => call<Client>("admin/v1/clients", { method: "POST", body }),
  rotate: (id: string, grace_s: number) => call<Client>(`${clientPath(id)}/rotate`, { method: "POST", body: { grace_s } }),
  revoke: (id: string) => call<Client>(`${clientPath(id)}/revoke`, { method: "POST" }),
  audit: (query: URLSearchParams) => call<Page<AuditEntry>>(`admin/v1/audit?${query}`),
};

const runPath = (id: string) => `v2/query_runs/${encodeURIComponent(id)}`;

export const api = {
  session: () => call<Session>("console/session", { quiet: true }),
  signIn: (client_id: string, client_secret: string) =>
    call<Session>("console/session", { method: "POST", body: { client_id, client_secret }, quiet: true }),
  signOut: () => call<unknown>("console/session", { method: "DELETE", quiet: true }),
  extend: () => call<Session>("console/session/extend", { method: "POST" }),
  options: () => call<Options>("v2/options"),
  tables: (source: string) => call<{ data: Table[] }>(`v2/tables?source=${encodeURIComponent(source)}`),
  validate: (sql: string, source: string, signal?: AbortSignal, parameters?: Bound[]) =>
    call<Validation>("v2/validate", { method: "POST", body: { sql, source, ...(parameters?.length ? { parameters } : {}) }, signal }),
  create: (body: Record<string, unknown>) =>
    call<Run>(`v2/query_runs?fields[]=${RUN_FIELDS}`, { method: "POST", body }),
  run: (id: string, signal?: AbortSignal) => call<Run>(`${runPath(id)}?fields[]=${RUN_FIELDS}`, { signal }),
  cancel: (id: string) => call<Run>(`${runPath(id)}/cancel?fields[]=${RUN_FIELDS}`, { method: "POST" }),
  rows: (id: string, offset: number, limit: number, signal?: AbortSignal) =>
    call<Rows>(`${runPath(id)}/rows?offset=${offset}&limit=${limit}`, { signal }),
  runs: (query: URLSearchParams, signal?: AbortSignal) =>
    call<{ next_page: string | null; data: Run[] }>(`v2/query_runs?${query}&fields[]=${RUN_FIELDS}`, { signal }),
  limits: (source: string) => call<{ data: Limit[] }>(`v2/limits?source=${encodeURIComponent(source)}`).then((found) => found.data),
  usage: (query: URLSearchParams) => call<Page<UsageRow>>(`v2/usage?${query}`),
  statements: () => call<{ data: Statement[] }>("v2/statements"),
  statement: (id: string) => call<Statement>(`v2/statements/${encodeURIComponent(id)}`),
  saveStatement: (body: Partial<Statement>, id?: string) =>
    call<Statement>(id ? `v2/statements/${encodeURIComponent(id)}` : "v2/statements", {
      method: id ? "PUT" : "POST",
      body,
    }),
  deleteStatement: (id: string) =>
    call<unknown>(`v2/statements/${encodeURIComponent(id)}`, { method: "DELETE" }),
};

/** Follow a run's changes until it is terminal, the stream breaks, or the signal aborts. */
export async function follow(id: string, changed: (kind: string, data: unknown) => void, signal: AbortSignal): Promise<void> {
  const response = await send(`${runPath(id)}/events`, { signal, headers: { accept: "text/event-stream" } });
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += value;
    const events = pending.split("\n\n");
    pending = events.pop() ?? "";
    for (const event of events) {
      const kind = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (kind && data) changed(kind, JSON.parse(data));
    }
  }
}
