/** The app's own access to AWS, with the real boto3 in the app's own process. */
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseEnvironmentFile } from '../../agent/app/environment.ts';
import { tokenName } from '../../agent/credentials/token.ts';
import type { AgentEvent } from '../../contract/events.ts';
import { withoutImds } from '../support/agent.ts';
import { boto3, boto3Folder } from '../support/boto3.ts';
import { startCloud } from '../support/cloud.ts';
import { type Fault, startFaultingProxy } from '../support/faulting-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { get, launch, limited, released, starts, statusOf } from '../support/launched.ts';
import { shortFolder } from '../support/short-folder.ts';

const appRoleArn = 'arn:aws:iam::123456789012:role/shop-app';
const arn = 'arn:aws:sts::123456789012:assumed-role/shop-app/local';
const source = `
import os, sys, time
sys.path.append(os.environ["BOTO3"])
import boto3
from flask import Flask
app = Flask(__name__)
def identity():
    started = time.monotonic()
    try:
        # Where there is no role there is no Region either.
        client = boto3.client("sts", region_name=os.environ.get("AWS_DEFAULT_REGION", "eu-west-1"))
        said = client.get_caller_identity()["Arn"]
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    return {"said": said, "seconds": time.monotonic() - started}
at_import = identity()
@app.get("/healthz")
def healthz():
    return "ok"
@app.get("/import")
def imported():
    return at_import
@app.get("/")
def index():
    return identity()
`;
const denied: Fault = {
  do: 'answer',
  status: 403,
  headers: { 'content-type': 'text/xml' },
  body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message/></Error></ErrorResponse>',
};

const cloud = await startCloud(t);
/** One release for all: its boto3 finds the cloud by config. */
const app = await released(t, cloud, { source, config: { AWS_ENDPOINT_URL: cloud.endpoint, BOTO3: boto3Folder } });
const userData = { ...app.userData, appRoleArn };
const variablesIn = (folder: string) => Object.fromEntries(parseEnvironmentFile(readFileSync(join(folder, 'run', 'app.env'), 'utf8')));
const tokenIn = (folder: string) => readFileSync(join(folder, 'run', tokenName), 'utf8');
const identity = async (url: string): Promise<{ said: string; seconds: number }> => JSON.parse((await get(url)).body);

/** The agent with the role in its user data, all of its own requests on record. */
async function withRole(t: Test, { fault, folder, port }: { fault?: Fault; folder?: string; port?: number } = {}) {
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const rule = fault && proxy.fault({ method: 'POST', path: /^\/$/ }, (seen) => (seen.body.includes('Action=AssumeRole') ? fault : undefined));
  const credentialsPort = port ?? (await freePort());
  const environment = { ...withoutImds(proxy.url), PINION_CREDENTIALS_PORT: String(credentialsPort), ...limited({ roleRetryBaseMs: 5, roleRetryCapMs: 20 }) };
  return { ...(await launch(t, cloud, { ...app, userData }, environment, folder)), proxy, rule, credentialsPort };
}

t.test('boto3 in the app has the role of the app, from its import on; nobody else has, and nothing tells of it', async (t) => {
  const { agent, folder, url, proxy, credentialsPort } = await withRole(t);
  await agent.untilState('ready');
  t.equal((await identity(`${url}/import`)).said, arn);
  t.equal((await identity(url)).said, arn);

  const file = join(folder, 'run', tokenName);
  const address = `http://127.0.0.1:${credentialsPort}/credentials`;
  t.match(variablesIn(folder), {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: address,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_REGION: 'eu-west-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  });
  t.equal((statSync(file).mode & 0o777).toString(8), '640');
  t.equal((await fetch(address)).status, 401);
  const withToken = await fetch(address, { headers: { authorization: tokenIn(folder) } });
  const given = (await withToken.json()) as Record<string, string>;
  const told = [
    ...agent.events.map((event) => JSON.stringify(event)),
    ...agent.console,
    JSON.stringify(await statusOf(folder)),
    JSON.stringify(await agent.readyz()),
    ...proxy.requests.map(({ headers, path, body }) => `${JSON.stringify(headers)} ${path} ${body}`),
  ].join('\n');
  for (const secret of [given.AccessKeyId, given.SecretAccessKey, given.Token, tokenIn(folder)]) {
    t.ok(secret !== undefined && secret.length > 15);
    t.notOk(told.includes(secret ?? ''), 'neither log, status, console nor what the agent sends has it');
  }
  t.equal(await agent.stop(), 0);
  await t.rejects(fetch(address), 'it ends with the agent');
});

t.test('after an agent that was killed the next one serves the same address and token', async (t) => {
  const folder = shortFolder(t);
  const first = await withRole(t, { folder });
  await first.agent.untilState('ready');
  const [token, variables] = [tokenIn(folder), variablesIn(folder)];
  first.agent.signal('SIGKILL');
  await first.agent.exited;
  const { agent, url } = await withRole(t, { folder, port: first.credentialsPort });
  await agent.untilState('ready');
  t.equal(tokenIn(folder), token);
  t.same(variablesIn(folder), variables);
  t.equal((await identity(url)).said, arn);
  t.equal((await boto3(variables, 'client("sts").get_caller_identity()["Arn"]')).value, arn, 'also for what the first agent started');
});

t.test('APP_ROLE_DENIED: the app serves, its own calls say why, and are right as soon as the policy is', async (t) => {
  const { agent, folder, url, rule } = await withRole(t, { fault: denied });
  const isFailed = (event: AgentEvent): event is AgentEvent & { event: 'app-role-failed' } => event.event === 'app-role-failed';
  t.match(await agent.until(isFailed), { cause: 'APP_ROLE_DENIED', sentence: /role\/shop-app: 403 AccessDenied/ });
  await agent.untilState('ready');
  t.equal((await agent.readyz()).status, 200);
  t.match((await identity(`${url}/import`)).said, /^CredentialRetrievalError: .*APP_ROLE_DENIED.*trust policy/);
  t.match(JSON.stringify(await statusOf(folder)), /APP_ROLE_DENIED/);
  t.same(agent.console, [], 'no line of the console: it would end a deploy that only Terraform can mend');
  rule?.remove();
  t.equal((await identity(url)).said, arn);
  await agent.until((event): event is AgentEvent & { event: 'app-role-recovered' } => event.event === 'app-role-recovered');
  t.equal(starts(agent), 1);
});

t.test('CREDENTIALS_PORT_IN_USE: without the port the app is not started', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const { agent } = await withRole(t, { port: (holder.address() as { port: number }).port });
  await agent.untilState('failed');
  t.match((await agent.readyz()).body, { cause: 'CREDENTIALS_PORT_IN_USE', sentence: `pid ${process.pid}` });
  t.equal(starts(agent), 0);
});

t.test('without a role boto3 says so at once, and nothing listens', async (t) => {
  const credentialsPort = String(await freePort());
  const { agent, folder, url } = await launch(t, cloud, app, { PINION_CREDENTIALS_PORT: credentialsPort });
  await agent.untilState('ready');
  const { said, seconds } = await identity(url);
  t.match(said, /^NoCredentialsError: /);
  t.ok(seconds < 1, `${seconds} s`);
  const names = Object.keys(variablesIn(folder)).filter((name) => name.startsWith('AWS_'));
  t.same(names, ['AWS_EC2_METADATA_DISABLED', 'AWS_ENDPOINT_URL']);
  await t.rejects(fetch(`http://127.0.0.1:${credentialsPort}/credentials`));
});
