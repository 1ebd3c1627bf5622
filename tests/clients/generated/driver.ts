// Carries out calls of the client that openapi-generator makes for TypeScript: one JSON line in, one
// out. It knows no rule of the contract; what it hands back is what the client handed to it.
//
// This client drops keys that it does not know. So that it notices them, the driver has it write
// what it has read, and compares that with what was sent.

import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";
import {
  Configuration,
  CreateQueryRunFromJSON,
  DataQueryErrorFromJSON,
  DataQueryErrorToJSON,
  DataQueryJobListToJSON,
  DataQueryJobResponseToJSON,
  DataQueryJobsV1Api,
  OAuthErrorFromJSON,
  OAuthErrorToJSON,
  ProblemFromJSON,
  ProblemToJSON,
  QueryRunsApi,
  QueryRunToJSON,
  ResponseError,
  SubmitDataQueryFromJSON,
  TokensApi,
  TokenToJSON,
} from "./client";

type Json = Record<string, unknown>;
type Call = (parameters: Json) => Promise<{ raw: Response; value(): Promise<unknown> }>;

let settings = new Configuration();

const WRITERS: Record<string, (value: any) => unknown> = {
  createQueryRun: QueryRunToJSON,
  getQueryRun: QueryRunToJSON,
  cancelQueryRun: QueryRunToJSON,
  createDataQueryJob: DataQueryJobResponseToJSON,
  getDataQueryJob: DataQueryJobResponseToJSON,
  cancelDataQueryJob: DataQueryJobResponseToJSON,
  listDataQueryJobs: DataQueryJobListToJSON,
  createToken: TokenToJSON,
};

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function parametersOf(operation: string, given: Json): Json {
  const found: Json = {};
  for (const [name, value] of Object.entries(given)) found[camel(name)] = value;
  if (operation === "createQueryRun") found.createQueryRun = CreateQueryRunFromJSON(given.body);
  if (operation === "createDataQueryJob")
    found.submitDataQuery = SubmitDataQueryFromJSON(given.body);
  return found;
}

function without(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function same(written: unknown, sent: unknown): unknown {
  if (!isDeepStrictEqual(without(written), sent))
    throw new TypeError(`not all of it is in the model: ${JSON.stringify(sent)}`);
  return sent;
}

async function call(operation: string, given: Json): Promise<Json> {
  const apis = [new QueryRunsApi(settings), new DataQueryJobsV1Api(settings), new TokensApi(settings)];
  const api = apis.find((one) => `${operation}Raw` in one);
  if (api === undefined) throw new Error(`no such operation: ${operation}`);
  const run = (api as unknown as Record<string, Call>)[`${operation}Raw`]!;
  try {
    const response = await run.call(api, parametersOf(operation, given));
    const sent = await response.raw.clone().json();
    const result = same(WRITERS[operation]!(await response.value()), sent);
    const headers = Object.fromEntries(response.raw.headers);
    return { status: response.raw.status, headers, result };
  } catch (error) {
    return { error: await described(api, error) };
  }
}

async function described(api: unknown, error: unknown): Promise<Json> {
  if (!(error instanceof ResponseError))
    return { kind: (error as Error).constructor.name, text: String(error) };
  const sent = await error.response.json();
  const written =
    api instanceof QueryRunsApi
      ? ProblemToJSON(ProblemFromJSON(sent))
      : api instanceof TokensApi
        ? OAuthErrorToJSON(OAuthErrorFromJSON(sent))
        : DataQueryErrorToJSON(DataQueryErrorFromJSON(sent));
  return { kind: "ApiException", status: error.response.status, body: same(written, sent) };
}

async function answer(request: Json): Promise<Json> {
  if (request.do === "connect") {
    const { url, token } = request as { url: string; token: string };
    settings = new Configuration({ basePath: url, accessToken: token });
    return {};
  }
  if (request.do === "download") {
    const bytes = await (await fetch(request.url as string)).arrayBuffer();
    return { base64: Buffer.from(bytes).toString("base64") };
  }
  return call(request.operation as string, request.arguments as Json);
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await answer(JSON.parse(line))));
}

void main();
