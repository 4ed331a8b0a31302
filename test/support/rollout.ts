import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, DescribeAlarmsCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { LabelParameterVersionCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import type { Test } from 'tap';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import { configPath, releasePath, type Sha256 } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';
import { type AutoScaling, createAutoScaling } from '../../local/autoscaling/autoscaling.ts';
import { awsTimers } from '../../local/autoscaling/timers.ts';
import { keys, openCloud, region } from '../../local/cloud.ts';
import { makeEnvironment } from '../../local/environment.ts';
import type { LaunchOrder } from '../../local/fleet/launcher.ts';
import { type Gateway, startGateway } from '../../local/gateway.ts';
import { createService } from '../../local/load-balancer/describe-actions.ts';
import type { TargetGroup, TargetHealth } from '../../local/load-balancer/target-group.ts';
import { type Moto, startMoto } from '../../local/moto.ts';
import { listOf, requiredText, type Service } from '../../local/wire/query.ts';
import { silent } from '../../pipeline/aws.ts';
import type { Place } from '../../pipeline/config/parameters.ts';
import type { Context } from '../../pipeline/rollout/context.ts';
import type { RolloutEvent } from '../../pipeline/rollout/events.ts';
import { type Pace, readPace } from '../../pipeline/rollout/pace.ts';
import { readTemplateVersion } from '../../pipeline/rollout/template.ts';
import type { Settings } from '../../pipeline/settings.ts';

/** What instances of a release do: come into service, or say a line on their console and be given up. */
type Conduct = 'good' | { readonly says: string };
export const pace: Pace = {
  ...readPace({}),
  pollMs: 20,
  slowestPollMs: 100,
  smokeEveryMs: 10,
  patienceMs: 60_000,
  bakeMs: 1_000,
  stopMs: 1_000,
  warmUpMs: 100,
};
const times: Infrastructure['times'] = {
  ...{ bootBudgetMs: 60_000, healthIntervalMs: 100, idleTimeoutMs: 60_000, deregistrationDelayMs: 30_000, warmUpMs: 1_000, graceMs: 1_000 },
  ...{ launchHeartbeatMs: 90_000, terminateHeartbeatMs: 90_000, stopTimeoutMs: 90_000 },
};
const targetGroupArn = `arn:aws:elasticloadbalancing:${region}:123456789012:targetgroup/shop/0123456789abcdef`;
const app: Settings = {
  ...{ app: 'shop', entryPoint: 'shop:app', python: '3.13', healthPath: '/healthz', releaseHeader: 'X-Release', instanceHeader: undefined },
  ...{ config: ['GREETING'], include: [], exclude: [], generated: [], localConfig: {} },
  gunicorn: { workers: 1, threads: 1, timeoutSeconds: 30, gracefulTimeoutSeconds: 30, keepAliveSeconds: 75 },
  smoke: { paths: [{ path: '/', status: 200, text: undefined }], budgetSeconds: 1 },
};

export type RolloutLab = {
  /** An environment that no other lab of this process has. */
  readonly place: Place;
  readonly context: Context;
  readonly events: RolloutEvent[];
  readonly infrastructure: Infrastructure;
  readonly autoScaling: AutoScaling;
  readonly gateway: Gateway;
  readonly clients: Context['clients'];
  /** Makes the next release, and says how its instances behave. */
  release(conduct?: Conduct): Promise<number>;
  label(release: number, label: string): Promise<void>;
  setAlarm(name: string, state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA'): Promise<void>;
  /** The balancer's answer to everything, as of this release; undefined is the one most of the group has. */
  answer(status: number): void;
  /** The variables of a process that asks this cloud. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

type LabOptions = {
  readonly instances?: number;
  readonly alarms?: readonly string[];
  readonly secondMs?: number;
  readonly pace?: Partial<Pace>;
  /** One that several labs share, and that the caller stops. */
  readonly moto?: Moto;
};
let labs = 0;

/** A whole environment at the wire, with instances that are no processes: moto, our Auto Scaling, and an app that answers with its release. */
export async function openRolloutLab(
  t: Pick<Test, 'teardown'>,
  { instances = 2, alarms = [], secondMs = 50, ...options }: LabOptions = {},
): Promise<RolloutLab> {
  const moto = options.moto ?? (await startMoto());
  const place = { app: app.app, env: `test-${++labs}` };
  const given = { region, credentials: keys, logger: silent };
  const direct = { ...given, endpoint: moto.endpoint };
  const [ec2, cloudWatch] = [new EC2Client(direct), new CloudWatchClient(direct)];
  const stop = new AbortController();
  const conducts = new Map<number, Conduct>();
  const machines = new Map<string, { readonly order: LaunchOrder; readonly launchedAt: Date; readonly release: number | undefined; console: string }>();
  const targets = new Map<string, TargetHealth>();
  let status = 200;

  const targetGroup: TargetGroup = {
    arn: targetGroupArn,
    async register(id) {
      targets.set(id, { id, port: 8_000, state: 'healthy' });
    },
    async deregister(id) {
      targets.delete(id);
    },
    health: async () => [...targets.values()],
  };
  const releaseOfBalancer = () => {
    const first = [...targets.keys()].at(-1);
    return machines.get(first ?? '')?.release;
  };
  const server = createServer((_, response) => response.writeHead(status, { 'X-Release': String(releaseOfBalancer()) }).end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const loadBalancerUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  const versionOf = (id: string, version: string) => readTemplateVersion(ec2, id, version, stop.signal);
  const act = async (action: string, params: Record<string, string>): Promise<void> => {
    // Not yet, until the group waits for it.
    for (; !stop.signal.aborted; await new Promise((resolve) => setTimeout(resolve, 5))) {
      try {
        await autoScaling.service({ action, params });
        return;
      } catch {}
    }
  };
  const autoScaling = createAutoScaling({
    targetGroups: new Map([[targetGroup.arn, targetGroup]]),
    timers: { ...awsTimers, secondMs, tickMs: 20, untilPendingWaitMs: 1, untilTerminatingWaitMs: 1, relaunchPauseMs: 50 },
    templates: {
      async resolve(id, version) {
        const found = await versionOf(id, version);
        return found && { id, name: id, version: String(found.number), imageId: found.imageId ?? '', usesResolveSsm: false };
      },
    },
    async alarmState(name) {
      const { MetricAlarms: found = [] } = await cloudWatch.send(new DescribeAlarmsCommand({ AlarmNames: [name] }));
      return found[0]?.StateValue;
    },
    launcher: {
      async launch(order) {
        const release = (await versionOf(order.launchTemplateId, order.version))?.release?.number;
        const conduct = conducts.get(release ?? 0) ?? 'good';
        const machine = { order, launchedAt: new Date(), release, console: conduct === 'good' ? '' : `boots\n${conduct.says}\n` };
        machines.set(order.id, machine);
        const { promise: ended, resolve: end } = Promise.withResolvers<void>();
        const hook = (name: string, result: string) =>
          act('CompleteLifecycleAction', {
            ...{ AutoScalingGroupName: order.autoScalingGroup, LifecycleHookName: name, InstanceId: order.id, LifecycleActionResult: result },
          });
        if (conduct === 'good') void hook('launch', 'CONTINUE');
        return {
          address: '127.0.0.1',
          ended,
          setTargetLifecycleState: (state) => void (state === 'Terminated' && hook('terminate', 'CONTINUE')),
          terminate: async () => end(),
        };
      },
    },
  });
  const instancesService: Service = ({ action, params }) => {
    if (action === 'GetConsoleOutput') {
      const id = requiredText(params, 'InstanceId');
      return { instanceId: id, output: Buffer.from(machines.get(id)?.console ?? '').toString('base64') };
    }
    const ids = Array.isArray(params.Filter) ? listOf(params.Filter[0] as never, 'Value') : [];
    const found = ids.flatMap((id) => machines.get(id) ?? []);
    return {
      reservationSet: [
        { instancesSet: found.map(({ order, launchedAt }) => ({ instanceId: order.id, launchTime: launchedAt, instanceState: { name: 'running' } })) },
      ],
    };
  };
  const settings = {
    ...{ name: 'shop', port: 8_000, deregistrationDelayMs: times.deregistrationDelayMs, idleTimeoutMs: times.idleTimeoutMs },
    healthCheck: { port: 8_081, path: '/readyz', intervalMs: times.healthIntervalMs, timeoutMs: 1_000, healthyThreshold: 2, unhealthyThreshold: 2 },
  };
  const gateway = await startGateway({
    owned: {
      autoscaling: { service: autoScaling.service, dialect: 'query' },
      elasticloadbalancing: { service: createService({ settings, group: targetGroup, loadBalancerArn: 'arn:lb', host: '127.0.0.1' }), dialect: 'query' },
      ec2: { service: instancesService, dialect: 'ec2', actions: new Set(['GetConsoleOutput', 'DescribeInstances']) },
    },
    rest: moto.endpoint,
  });
  const { endpoint } = gateway;
  const cloud = await openCloud({ endpoint, port: 0 }, stop.signal);
  const infrastructure = await makeEnvironment(cloud, place, { targetGroupArn, loadBalancerUrl, times, instances, maxSize: instances + 5, alarms });
  const artifact = await putArtifact(cloud.clients.s3, infrastructure.artifactBucket);
  const through = { ...given, endpoint, maxAttempts: 2 };
  const clients = {
    ...cloud.clients,
    ...{ autoScaling: new AutoScalingClient(through), cloudWatch: new CloudWatchClient(through), ec2: new EC2Client(through) },
    loadBalancing: new ElasticLoadBalancingV2Client(through),
  };
  const events: RolloutEvent[] = [];
  const context: Context = { clients, place, app, pace: { ...pace, ...options.pace }, say: (event) => void events.push(event), signal: stop.signal };
  const end = async () => {
    stop.abort();
    await autoScaling.stop();
    server.closeAllConnections();
    await Promise.all([gateway.stop(), options.moto === undefined && moto.stop(), new Promise((resolve) => server.close(resolve))]);
  };
  t.teardown(end);
  return {
    ...{ place, context, events, infrastructure, autoScaling, gateway, clients, stop: end },
    async release(conduct = 'good') {
      const value = { Name: configPath(place, 'GREETING'), Value: String(conducts.size), Type: 'String', Overwrite: true } as const;
      const { Version: version = 0 } = await cloud.clients.ssm.send(new PutParameterCommand(value));
      const record: ReleaseRecord = {
        ...{ schemaVersion: 1, ...place, artifact, config: { GREETING: version }, python: '3.13', platform: 'linux_x86_64', minAgent: '0.1.0' },
        ...{ commit: `c${version}`, createdAt: new Date().toISOString(), createdBy: 'test', note: '' },
      };
      const put = new PutParameterCommand({ Name: releasePath(place), Value: JSON.stringify(record), Type: 'String', Overwrite: true });
      const { Version: number = 0 } = await cloud.clients.ssm.send(put);
      conducts.set(number, conduct);
      return number;
    },
    async label(release, label) {
      await cloud.clients.ssm.send(new LabelParameterVersionCommand({ Name: releasePath(place), ParameterVersion: release, Labels: [label] }));
    },
    async setAlarm(AlarmName, StateValue) {
      await cloudWatch.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'test' }));
    },
    answer(given) {
      status = given;
    },
    environment: { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey },
  };
}

async function putArtifact(s3: Context['clients']['s3'], bucket: string): Promise<ReleaseRecord['artifact']> {
  const { PutObjectCommand } = await import('@aws-sdk/client-s3');
  const key = 'shop/artifact';
  const { VersionId: versionId = '' } = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'artifact' }));
  return { bucket, key, versionId, sha256: 'a'.repeat(64) as Sha256, sizeBytes: 8, unpackedBytes: 8, files: 1 };
}
