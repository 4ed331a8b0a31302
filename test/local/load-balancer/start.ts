import { Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { DescribeTargetHealthCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Test } from 'tap';
import { startGateway } from '../../../local/gateway.ts';
import { haproxyProblem, startLoadBalancer } from '../../../local/load-balancer/load-balancer.ts';
import type { TargetGroupSettings } from '../../../local/load-balancer/target-group.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { shortFolder } from '../../support/short-folder.ts';
import { type Backend, startBackend } from './targets.ts';

/** For tests that need HAProxy; with CI=true they fail without it. */
export const needsHaproxy = { skip: process.env.CI === 'true' ? false : (haproxyProblem() ?? false) };

type Changes = Partial<Omit<TargetGroupSettings, 'healthCheck'>> & { readonly healthCheck?: Partial<TargetGroupSettings['healthCheck']> };

/** A balancer behind the gateway, asked by the real SDK. */
export async function start(t: Test, { healthCheck = {}, ...changes }: Changes = {}) {
  const ports = { traffic: await freePort(), health: await freePort() };
  const settings: TargetGroupSettings = {
    name: 'flask',
    port: ports.traffic,
    healthCheck: { port: ports.health, path: '/readyz', intervalMs: 150, timeoutMs: 1_000, healthyThreshold: 2, unhealthyThreshold: 2, ...healthCheck },
    deregistrationDelayMs: 20_000,
    idleTimeoutMs: 20_000,
    ...changes,
  };
  const balancer = await startLoadBalancer({ settings, folder: shortFolder(t), region: 'eu-west-1' });
  t.teardown(() => balancer.stop());
  const gateway = await startGateway({ owned: { elasticloadbalancing: { service: balancer.service, dialect: 'query' } }, rest: 'http://127.0.0.1:1' });
  t.teardown(() => gateway.stop());
  const elb = new ElasticLoadBalancingV2Client({
    region: 'eu-west-1',
    endpoint: gateway.endpoint,
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  });
  t.teardown(() => elb.destroy());

  const health = async (...ids: string[]) => {
    const Targets = ids.map((Id) => ({ Id }));
    const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: balancer.targetGroup.arn, Targets }));
    return TargetHealthDescriptions;
  };
  const stateOf = async ({ id }: Backend) => (await health(id))[0]?.TargetHealth;
  const untilIs = (backend: Backend, state: string) =>
    eventually(
      () => stateOf(backend),
      (is) => is?.State === state,
    );
  const register = async (backend: Backend) => {
    await balancer.targetGroup.register(backend.id, backend.address);
    return backend;
  };
  const healthy = async (): Promise<Backend> => {
    const backend = await register(await startBackend(t, ports));
    await untilIs(backend, 'healthy');
    return backend;
  };

  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  type Answer = { status: number; body: string; isNewConnection: boolean };
  /** One request on a kept-alive connection of the client, or on one of its own. */
  const ask = (path = '/', by: Agent | false = agent): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = get(balancer.url + path, { agent: by }, async (response) => {
        resolve({ status: response.statusCode ?? 0, body: await text(response), isNewConnection: !request.reusedSocket });
      }).on('error', reject);
    });
  /** Connections of the client that wait for a next request. */
  const idleConnections = () => Object.values(agent.freeSockets).flat().length;
  return {
    balancer,
    idleConnections,
    elb,
    ports,
    settings,
    health,
    stateOf,
    untilIs,
    register,
    healthy,
    ask,
    startBackend: (answer?: Parameters<typeof startBackend>[2]) => startBackend(t, ports, answer),
  };
}
