import { randomInt } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoScalingClient, SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, DescribeAlarmsCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { AuthorizeSecurityGroupIngressCommand, CreateSecurityGroupCommand, EC2Client } from '@aws-sdk/client-ec2';
import { silent } from '../pipeline/aws.ts';
import { readTemplateVersion } from '../pipeline/rollout/template.ts';
import { type AutoScaling, createAutoScaling } from './autoscaling/autoscaling.ts';
import { awsTimers, type Timers } from './autoscaling/timers.ts';
import { type Cloud, keys, openCloud, region } from './cloud.ts';
import { createFleet, type Fleet } from './fleet/fleet.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { type LoadBalancer, startLoadBalancer } from './load-balancer/load-balancer.ts';
import { startMoto } from './moto.ts';

export type ControlPlaneOptions = {
  readonly name: string;
  readonly folder: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  readonly interpreter: string;
  /** Of the target group; the thresholds are two checks each. */
  readonly healthIntervalMs: number;
  readonly deregistrationDelayMs: number;
  readonly idleTimeoutMs: number;
  /** Who says what the load balancer is: what runs here, which is the default, or moto, in which Terraform made one. The health of targets is always real. */
  readonly balancerOf?: 'here' | 'moto';
  readonly timers?: Partial<Timers>;
  /** Limits of the agents that are to differ. */
  readonly limits: Readonly<Record<string, number>>;
  readonly powerOffMs: number;
  readonly say?: (line: string) => void;
};

/** A whole account on this machine: moto for what it does well, and our own Auto Scaling, load balancer, instances and their consoles. */
export type ControlPlane = {
  /** Its endpoint is the gateway's. */
  readonly cloud: Cloud;
  readonly gateway: Gateway;
  readonly autoScaling: AutoScaling;
  readonly fleet: Fleet;
  readonly loadBalancer: LoadBalancer;
  /** Of an instance: it lets the balancer in on both ports. None where Terraform makes them. */
  readonly instanceSecurityGroup: string | undefined;
  /** Milliseconds from an agent's start to ready, of every instance that became it. */
  readonly bootsMs: readonly number[];
  setAlarm(name: string, state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA'): Promise<void>;
  setDesiredCapacity(group: string, desired: number): Promise<void>;
  stop(): Promise<void>;
};

/** It ends with `stop()`, with `signal`, and with the calling process, however that ends. */
export async function openControlPlane(options: ControlPlaneOptions, signal: AbortSignal): Promise<ControlPlane> {
  const { name, folder, trafficPort, healthPort, interpreter, limits, powerOffMs, say, balancerOf = 'here' } = options;
  await mkdir(folder, { recursive: true });
  const settings = {
    ...{ name, port: trafficPort, deregistrationDelayMs: options.deregistrationDelayMs, idleTimeoutMs: options.idleTimeoutMs },
    healthCheck: {
      ...{ port: healthPort, path: '/readyz', intervalMs: options.healthIntervalMs, timeoutMs: Math.max(500, options.healthIntervalMs) },
      ...{ healthyThreshold: 2, unhealthyThreshold: 2 },
    },
  };
  const moto = await startMoto({ signal });
  const given = { endpoint: moto.endpoint, region, credentials: keys, logger: silent };
  const [ec2, cloudWatch] = [new EC2Client(given), new CloudWatchClient(given)];
  const securityGroups = balancerOf === 'here' ? await makeSecurityGroups(ec2, [trafficPort, healthPort]) : undefined;
  const balancerOptions = { settings, folder: join(folder, 'lb'), region, ...(securityGroups && { securityGroups: [securityGroups.balancer] }) };
  const loadBalancer = await startLoadBalancer(balancerOptions, signal);
  const { targetGroup } = loadBalancer;
  const versionOf = (template: string, version: string) => readTemplateVersion(ec2, template, version, signal);

  const bootsMs: number[] = [];
  let gatewayEndpoint = '';
  const fleet = createFleet({
    endpoint: () => gatewayEndpoint,
    async userDataOf(template, version) {
      const found = await versionOf(template, version);
      return found && Buffer.from(found.userData);
    },
    folder: join(folder, 'instances'),
    // Any but 127.0: two of these at the same time must not meet.
    subnet: `127.${randomInt(16, 250)}.${randomInt(1, 250)}`,
    ...{ trafficPort, healthPort, interpreter, limits, powerOffMs },
    onEvent(_, event) {
      if (event.event === 'state' && event.to === 'ready' && event.from === 'starting') bootsMs.push(event.sinceStartMs);
    },
  });
  const autoScaling = createAutoScaling({
    launcher: fleet,
    // The one there is, by whatever ARN moto gave it.
    targetGroups: balancerOf === 'here' ? new Map([[targetGroup.arn, targetGroup]]) : { has: () => true, get: () => targetGroup },
    timers: { ...awsTimers, ...options.timers },
    templates: {
      async resolve(id, version) {
        const found = await versionOf(id, version);
        if (found === undefined) return undefined;
        const { number, imageId = '' } = found;
        return { id, name: id, version: String(number), imageId, usesResolveSsm: imageId.startsWith('resolve:') };
      },
    },
    async alarmState(alarm) {
      const { MetricAlarms: found = [] } = await cloudWatch.send(new DescribeAlarmsCommand({ AlarmNames: [alarm] }));
      return found[0]?.StateValue;
    },
    // What breaks off at the end is no news.
    ...(say !== undefined && { say: (line: string) => (signal.aborted ? undefined : say(line)) }),
  });
  const gateway = await startGateway({
    owned: {
      autoscaling: { service: autoScaling.service, dialect: 'query' },
      elasticloadbalancing:
        balancerOf === 'here'
          ? { service: loadBalancer.service, dialect: 'query' }
          : {
              service: ({ action, params }) => loadBalancer.service({ action, params: { ...params, TargetGroupArn: targetGroup.arn } }),
              ...{ dialect: 'query', actions: new Set(['DescribeTargetHealth']) },
            },
      ec2: { service: fleet.service, dialect: 'ec2', actions: new Set(['GetConsoleOutput', 'DescribeInstances']) },
    },
    rest: moto.endpoint,
  });
  gatewayEndpoint = gateway.endpoint;
  const cloud = await openCloud({ endpoint: gateway.endpoint, port: 0 }, signal);
  const groups = new AutoScalingClient({ ...given, endpoint: gateway.endpoint });
  return {
    ...{ cloud, gateway, autoScaling, fleet, loadBalancer, bootsMs, instanceSecurityGroup: securityGroups?.instance },
    async setAlarm(AlarmName, StateValue) {
      await cloudWatch.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'set by hand' }));
    },
    async setDesiredCapacity(AutoScalingGroupName, DesiredCapacity) {
      await groups.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity }));
    },
    async stop() {
      await autoScaling.stop();
      await fleet.stop();
      await Promise.all([loadBalancer.stop(), gateway.stop(), moto.stop()]);
      for (const client of [ec2, cloudWatch, groups]) client.destroy();
    },
  };
}

/** As Terraform makes them; here nothing enforces them. */
async function makeSecurityGroups(ec2: EC2Client, ports: readonly number[]): Promise<{ readonly balancer: string; readonly instance: string }> {
  const make = async (GroupName: string) => (await ec2.send(new CreateSecurityGroupCommand({ GroupName, Description: GroupName }))).GroupId ?? '';
  const [balancer, instance] = [await make('balancer'), await make('instance')];
  const rules = ports.map((port) => ({ IpProtocol: 'tcp', FromPort: port, ToPort: port, UserIdGroupPairs: [{ GroupId: balancer }] }));
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: instance, IpPermissions: rules }));
  return { balancer, instance };
}
