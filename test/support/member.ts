/** An instance in an Auto Scaling group: the real agent, its metadata service, and an Auto Scaling that answers as a test says. */
import type { Test } from 'tap';
import type { Limits } from '../../agent/limits.ts';
import type { UserData } from '../../contract/user-data.ts';
import { startImds } from '../../local/imds.ts';
import { ServiceError } from '../../local/wire/query.ts';
import { agentProcess } from './agent.ts';
import { startAutoScaling } from './auto-scaling.ts';
import { type Cloud, region, startCloud } from './cloud.ts';
import { freePort } from './free-port.ts';
import { limited, released } from './launched.ts';
import { shortFolder } from './short-folder.ts';
import { fault, faultySource } from './supervised.ts';

export const instance = 'i-0123456789abcdef0';
export const targetState = '/latest/meta-data/autoscaling/target-lifecycle-state';
export const spot = '/latest/meta-data/spot/instance-action';
export const notice = JSON.stringify({ action: 'terminate', time: '2030-01-02T03:04:05Z' });

/** A cloud with a release whose app does what its agent's folder says. */
export async function startMember(t: Pick<Test, 'teardown'>): Promise<Member> {
  const cloud = await startCloud(t);
  const settings = 'entry-point = "shop:app"\ninclude = ["shop.py"]\ngunicorn.workers = 1\ngunicorn.graceful-timeout-seconds = 1\n';
  return { cloud, app: await released(t as Test, cloud, { source: faultySource, settings }) };
}

export const notYet = () => new ServiceError('ValidationError', `No active Lifecycle Action found with instance ID ${instance}`);
export const throttled = () => new ServiceError('Throttling', 'Rate exceeded');
export const denied = () => new ServiceError('AccessDenied', 'User is not authorized to perform this action', 403);

/** What a test is about: the cloud with the released app that the instance boots. */
export type Member = { readonly cloud: Cloud; readonly app: Awaited<ReturnType<typeof released>> };

type Options = {
  readonly times?: Partial<UserData['times']>;
  readonly limits?: Partial<Limits>;
  readonly userData?: string;
  readonly python?: string;
  readonly answer?: (call: string) => ServiceError | undefined;
  readonly cloudUrl?: string;
  readonly environment?: Readonly<Record<string, string>>;
};

/** The agent of an instance in a group. */
export async function launchMember(
  t: Test,
  { cloud, app }: Member,
  { times, limits, userData, python, answer, cloudUrl = cloud.endpoint, environment: more }: Options = {},
) {
  const folder = shortFolder(t);
  if (python !== undefined) fault(folder, python);
  const group = await startAutoScaling(t);
  if (answer !== undefined) group.answer = answer;
  const document = { ...app.userData, times: { ...app.userData.times, ...times } };
  const imds = await startImds({
    instance,
    address: '127.0.0.1',
    region,
    roleName: 'pinion-runtime',
    credentials: () => ({ accessKeyId: 'test', secretAccessKey: 'test', sessionToken: 'token', expiration: new Date(Date.now() + 3_600_000) }),
    userData: Buffer.from(userData ?? JSON.stringify(document)),
  });
  t.teardown(() => imds.stop());
  const port = await freePort();
  const quick = { noticeIntervalMs: 30, hookRetryBaseMs: 20, hookRetryCapMs: 60, connectionsEveryMs: 20, restartBaseMs: 10, restartCapMs: 20 };
  const environment = {
    AWS_ENDPOINT_URL: cloudUrl,
    AWS_ENDPOINT_URL_AUTO_SCALING: group.endpoint,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
    PINION_PYTHON: app.interpreter,
    PINION_TRAFFIC_PORT: String(port),
    ...limited({ ...quick, ...limits }),
    ...more,
  };
  const start = () => {
    const agent = agentProcess({ folder, environment });
    t.teardown(() => agent.stop());
    return agent;
  };
  const agent = start();
  return { agent, start, imds, group, folder, port, url: `http://127.0.0.1:${port}`, sinceMs: () => 0 };
}
