import {
  AutoScalingClient,
  type AutoScalingClient as Client,
  CreateAutoScalingGroupCommand,
  type CreateAutoScalingGroupCommandInput,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  type RefreshPreferences,
  StartInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import type { Test } from 'tap';
import { createAutoScaling } from '../../../local/autoscaling/autoscaling.ts';
import type { AlarmState } from '../../../local/autoscaling/reconcile.ts';
import type { Timers } from '../../../local/autoscaling/timers.ts';
import type { Launcher, LaunchOrder } from '../../../local/fleet/launcher.ts';
import { startGateway } from '../../../local/gateway.ts';
import type { TargetGroup, TargetHealth } from '../../../local/load-balancer/target-group.ts';
import type { ServiceError } from '../../../local/wire/query.ts';
import { eventually } from '../../support/eventually.ts';

export const arn = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef';
export const templateId = 'lt-0123456789abcdef0';

/** A machine without a machine: what the group did to it, in order. */
export type Machine = { readonly order: LaunchOrder; readonly did: string[]; readonly target: string[]; end(): void };

/** A second is ten milliseconds. */
const fast = { secondMs: 10, tickMs: 5, untilPendingWaitMs: 1, untilTerminatingWaitMs: 1, stalledMs: 60_000, relaunchPauseMs: 5 } satisfies Timers;

/** The service on the wire, with machines that are data, a balancer that says what the test says, and alarms likewise. */
export async function openLab(t: Test, other: Partial<Timers> = {}) {
  /** A test may change them on the way. */
  const timers: { -readonly [Name in keyof Timers]: number } = { ...fast, ...other };
  const machines = new Map<string, Machine>();
  const health = new Map<string, TargetHealth['state']>();
  const alarms = new Map<string, AlarmState>();
  const log: string[] = [];
  const lab = {
    machines,
    health,
    alarms,
    /** Who is out of the balancer, of what was asked to be. */
    drained: (_id: string): Promise<unknown> => Promise.resolve(),
    /** What a look-up of a template waits for, and how many there were. */
    resolving: Promise.resolve() as Promise<unknown>,
    lookUps: 0,
    /** Until when an instance only starts. */
    launching: Promise.resolve() as Promise<unknown>,
    /** Of a target that was just registered. */
    firstHealth: 'healthy' as TargetHealth['state'],
    launchError: undefined as ServiceError | undefined,
    imageId: 'ami-0123456789abcdef0',
    usesResolveSsm: false,
    versions: 9,
    /** How often the balancer was asked: the service has looked so often. */
    asked: 0,
    log,
  };
  const launcher: Launcher = {
    async launch(order) {
      if (lab.launchError !== undefined) throw lab.launchError;
      await lab.launching;
      const did: string[] = [];
      const target: string[] = [];
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      machines.set(order.id, { order, did, target, end });
      return {
        address: '127.0.0.1',
        ended,
        setTargetLifecycleState: (state) => void target.push(state),
        async terminate() {
          did.push('off');
          end();
        },
      };
    },
  };
  const targetGroup: TargetGroup = {
    arn,
    async register(id) {
      machines.get(id)?.did.push('registered');
      health.set(id, lab.firstHealth);
    },
    async deregister(id) {
      health.set(id, 'draining');
      machines.get(id)?.did.push('draining');
      await lab.drained(id);
      health.delete(id);
      machines.get(id)?.did.push('drained');
    },
    async health() {
      lab.asked++;
      return [...health].map(([id, state]) => ({ id, port: 80, state }));
    },
  };
  const { service, faults, groups, stop } = createAutoScaling({
    ...{ launcher, targetGroups: new Map([[arn, targetGroup]]), timers, say: (line) => void log.push(line) },
    templates: {
      async resolve(idOrName, asked) {
        lab.lookUps++;
        await lab.resolving;
        const version = asked.startsWith('$') ? String(lab.versions) : asked;
        if ((idOrName !== templateId && idOrName !== 'web') || !(Number(version) <= lab.versions)) return undefined;
        return { id: templateId, name: 'web', version, imageId: lab.imageId, usesResolveSsm: lab.usesResolveSsm };
      },
    },
    alarmState: async (name) => alarms.get(name),
  });
  const gateway = await startGateway({ owned: { autoscaling: { service, dialect: 'query' } }, rest: 'http://127.0.0.1:9' });
  const client: Client = new AutoScalingClient({
    ...{ endpoint: gateway.endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1 },
  });
  t.teardown(async () => {
    client.destroy();
    await gateway.stop();
    await stop();
    if (log.length > 0) throw new Error(log.join('\n'));
  });
  const describe = async () => {
    const { AutoScalingGroups: found = [] } = await client.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['web'] }));
    const [group] = found;
    return { ...group, Instances: group?.Instances ?? [] };
  };
  const serving = async (version?: string) =>
    (await describe()).Instances.filter(
      ({ LifecycleState, LaunchTemplate }) => LifecycleState === 'InService' && (version ?? LaunchTemplate?.Version) === LaunchTemplate?.Version,
    );
  const refresh = async () => {
    const { InstanceRefreshes: found = [] } = await client.send(new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: 'web', MaxRecords: 1 }));
    return found[0];
  };
  return {
    lab,
    timers,
    client,
    faults,
    groups,
    service,
    describe,
    serving,
    refresh,
    create: (more: Partial<CreateAutoScalingGroupCommandInput> = {}) =>
      client.send(
        new CreateAutoScalingGroupCommand({
          ...{ AutoScalingGroupName: 'web', MinSize: 0, MaxSize: 20, DesiredCapacity: 2, HealthCheckType: 'ELB', TargetGroupARNs: [arn] },
          ...{ LaunchTemplate: { LaunchTemplateId: templateId, Version: '1' }, ...more },
        }),
      ),
    start: (Preferences: RefreshPreferences = {}, Version = '2') =>
      client.send(
        new StartInstanceRefreshCommand({
          AutoScalingGroupName: 'web',
          DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: templateId, Version } },
          Preferences: { MinHealthyPercentage: 100, MaxHealthyPercentage: 150, InstanceWarmup: 0, AutoRollback: true, ...Preferences },
        }),
      ),
    inService: (count: number, version?: string) =>
      eventually(
        () => serving(version),
        (found) => found.length === count,
      ),
    status: (wanted: string) => eventually(refresh, (found) => found?.Status === wanted),
    /** Until the service has looked so often again. */
    async looks(times: number) {
      const until = lab.asked + times;
      await eventually(
        () => lab.asked,
        (asked) => asked >= until,
      );
    },
    /** An instance of this state. */
    one: async (state: string) => {
      const { Instances } = await eventually(describe, (group) => group.Instances.some(({ LifecycleState }) => LifecycleState === state));
      return Instances.find(({ LifecycleState }) => LifecycleState === state)?.InstanceId ?? '';
    },
  };
}
