import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { ask, type FleetClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { type HostCause, readHostCause } from './console.ts';
import type { Refresh } from './group.ts';
import { isServing } from './serving.ts';
import { labelled, readSituation, readTargets } from './situation.ts';
import { readTemplateVersion } from './template.ts';
import { isUnderWay } from './under-way.ts';

export type InstanceStatus = {
  readonly id: string;
  readonly release: number | undefined;
  readonly version: number | undefined;
  readonly lifecycle: string;
  readonly isServing: boolean;
  /** The balancer's state of it, with AWS's reason; undefined while it is no target. */
  readonly target: string | undefined;
  readonly reason: string | undefined;
  readonly ageSeconds: number | undefined;
  /** Of an instance that does not serve: what its agent said last on its console. */
  readonly said: HostCause | undefined;
};
export type FleetStatus = {
  readonly app: string;
  readonly env: string;
  readonly group: string;
  readonly desired: number;
  readonly serving: number;
  /** The release in the template version that the group launches, and whether it passed smoke. */
  readonly runs: { readonly release: number | undefined; readonly version: number | undefined; readonly isProven: boolean };
  readonly live: number | undefined;
  readonly previous: number | undefined;
  /** Terraform's newest version, where what runs was not made from it. */
  readonly newerBase: number | undefined;
  readonly suspended: readonly string[];
  readonly refresh: (Refresh & { readonly isUnderWay: boolean; readonly release: number | undefined }) | undefined;
  readonly instances: readonly InstanceStatus[];
};

/** Consoles that are read side by side. */
const consolesAtOnce = 8;

/** What holds now. A console is read only for an instance that does not serve. Throws INFRASTRUCTURE_*, GROUP_MISSING, AWS_*. */
export async function readFleetStatus(clients: FleetClients, place: Place, now: Date, signal: AbortSignal): Promise<FleetStatus> {
  const { group, infrastructure, refresh, base, saved, live, releases } = await readSituation(clients, place, signal);
  const versions = [...new Set([...group.instances.map(({ version }) => version), refresh?.version])].filter((version) => version !== undefined);
  const [targets, launchedAt, templates] = await Promise.all([
    readTargets(clients.loadBalancing, infrastructure.targetGroupArn, signal),
    readLaunchTimes(
      clients.ec2,
      group.instances.map(({ id }) => id),
      signal,
    ),
    Promise.all(versions.map((version) => readTemplateVersion(clients.ec2, infrastructure.launchTemplateId, String(version), signal))),
  ]);
  const releaseOf = (version: number | undefined) => templates.find((template) => template?.number === version)?.release?.number;
  const silent = group.instances.filter((instance) => !isServing({ targets }, instance)).map(({ id }) => id);
  const said = new Map<string, HostCause | undefined>();
  const read = async (): Promise<void> => {
    for (let id = silent.shift(); id !== undefined; id = silent.shift()) said.set(id, await readHostCause(clients.ec2, id, signal));
  };
  await Promise.all(Array.from({ length: consolesAtOnce }, read));
  const instances = group.instances.map((instance): InstanceStatus => {
    const { id, version, lifecycle } = instance;
    const target = targets.get(id);
    const launched = launchedAt.get(id);
    const reason = target?.reason && `${target.reason}${target.description ? `: ${target.description}` : ''}`;
    const ageSeconds = launched && Math.round((now.getTime() - launched.getTime()) / 1_000);
    return {
      id,
      release: releaseOf(version),
      version,
      lifecycle,
      isServing: isServing({ targets }, instance),
      target: target?.state,
      reason,
      ageSeconds,
      said: said.get(id),
    };
  });
  return {
    ...{ app: place.app, env: place.env, group: group.name, desired: group.desired },
    serving: instances.filter((instance) => instance.isServing).length,
    runs: { release: saved?.release?.number, version: saved?.number, isProven: live !== undefined && live.release === saved?.release?.number },
    live: live?.release,
    previous: labelled(releases, 'previous')?.release,
    newerBase: base !== undefined && saved?.release !== undefined && saved.data !== base.data ? base.number : undefined,
    suspended: group.suspended,
    refresh: refresh && { ...refresh, isUnderWay: isUnderWay(refresh), release: releaseOf(refresh.version) },
    instances,
  };
}

/** Instances that one call is asked for (EC2 API Reference, DescribeInstances: 1,000 ids at most). */
const idsAtOnce = 500;

async function readLaunchTimes(ec2: EC2Client, ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Date>> {
  const times = new Map<string, Date>();
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    // By filter, and not by id: an instance that is gone since is then missing and no error.
    const command = new DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: ids.slice(at, at + idsAtOnce) }] });
    const answer = await ask('DescribeInstances', 'instances of the group', () => ec2.send(command, { abortSignal: signal }));
    for (const { InstanceId: id, LaunchTime: launched } of (answer.Reservations ?? []).flatMap(({ Instances }) => Instances ?? [])) {
      if (id !== undefined && launched !== undefined) times.set(id, launched);
    }
  }
  return times;
}
