import { DescribeTargetHealthCommand, type ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import { ask, type FleetClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { type Released, readReleases, type Stored } from '../release/read.ts';
import { type Group, type Refresh, readGroup, readRefresh } from './group.ts';
import { readTemplateVersion, type TemplateVersion } from './template.ts';

/** What the balancer says of an instance (ELBv2 API Reference, TargetHealth). */
export type TargetHealth = { readonly state: string; readonly reason: string | undefined; readonly description: string | undefined };
/** What holds for an environment, whoever asks. */
export type Situation = {
  readonly place: Place;
  readonly infrastructure: Infrastructure;
  readonly group: Group;
  /** The newest refresh of the group. */
  readonly refresh: Refresh | undefined;
  /** The template's default version: the newest of Terraform. */
  readonly base: TemplateVersion | undefined;
  /** The version that the group launches. */
  readonly saved: TemplateVersion | undefined;
  /** Releases that are kept, newest first. */
  readonly releases: readonly Stored[];
  /** The release that last passed smoke everywhere. */
  readonly live: Released | undefined;
};
/** All that every environment's document has. */
export const allFields = ['autoScalingGroup', 'launchTemplateId', 'targetGroupArn', 'loadBalancerUrl', 'artifactBucket', 'alarms', 'hooks', 'times'] as const;

/** Throws INFRASTRUCTURE_*, GROUP_MISSING, AWS_*. */
export async function readSituation(clients: FleetClients, place: Place, signal: AbortSignal): Promise<Situation> {
  const { appRoleArn, ...rest } = (await readInfrastructure(clients.ssm, place, allFields, signal)) as Infrastructure;
  const infrastructure = { ...rest, ...(appRoleArn !== undefined && { appRoleArn }) };
  const { autoScalingGroup, launchTemplateId } = infrastructure;
  // Before the group: of a refresh that has ended the group is what came of it.
  const refresh = await readRefresh(clients.autoScaling, autoScalingGroup, signal);
  const [group, base, releases] = await Promise.all([
    readGroup(clients.autoScaling, autoScalingGroup, signal),
    readTemplateVersion(clients.ec2, launchTemplateId, '$Default', signal),
    readReleases(clients.ssm, place, signal),
  ]);
  const saved = group.templateId === launchTemplateId ? await readTemplateVersion(clients.ec2, launchTemplateId, group.version, signal) : undefined;
  return { place, infrastructure, group, refresh, base, saved, releases, live: labelled(releases, 'live') };
}

/** The release that has this label: Parameter Store keeps a label on one version. */
export const labelled = (releases: readonly Stored[], label: string): Released | undefined =>
  releases.flatMap((stored) => ('record' in stored && stored.labels.includes(label) ? [stored] : []))[0];

/** Every target of the group by instance id. Throws AWS_*. */
export async function readTargets(
  loadBalancing: ElasticLoadBalancingV2Client,
  targetGroupArn: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TargetHealth>> {
  const command = new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn });
  const answer = await ask('DescribeTargetHealth', targetGroupArn, () => loadBalancing.send(command, { abortSignal: signal }));
  return new Map(
    (answer.TargetHealthDescriptions ?? []).map(({ Target, TargetHealth: health }) => [
      Target?.Id ?? '',
      { state: health?.State ?? '', reason: health?.Reason, description: health?.Description },
    ]),
  );
}
