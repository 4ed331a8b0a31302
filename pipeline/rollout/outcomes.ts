import { DescribeInstanceRefreshesCommand } from '@aws-sdk/client-auto-scaling';
import { Failure } from '../../contract/causes.ts';
import { ask, type RolloutClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import { readInfrastructure } from '../infrastructure.ts';
import { readTemplateVersion } from './template.ts';

/** How the last deploy of a release ended, in Auto Scaling's word, or goes on. */
export type Outcome = { readonly status: string; readonly at: string | undefined };

/** Refreshes that are looked at; Auto Scaling keeps them for six weeks (DescribeInstanceRefreshes). */
const refreshesRead = 30;

/**
 * The outcome of each release that a refresh went to, by its number. None where there is nothing to deploy with yet, or nobody answers: releases are
 * shown without.
 */
export async function readOutcomes({ autoScaling, ec2, ssm }: RolloutClients, place: Place, signal: AbortSignal): Promise<ReadonlyMap<number, Outcome>> {
  try {
    const infrastructure = await readInfrastructure(ssm, place, ['autoScalingGroup', 'launchTemplateId'], signal);
    const { autoScalingGroup: group, launchTemplateId } = infrastructure;
    const command = new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, MaxRecords: refreshesRead });
    const { InstanceRefreshes: refreshes = [] } = await ask('DescribeInstanceRefreshes', group, () => autoScaling.send(command, { abortSignal: signal }));
    const newest = new Map<string, Outcome>();
    for (const { DesiredConfiguration: desired, Status: status = '', EndTime, StartTime } of refreshes) {
      const version = desired?.LaunchTemplate?.Version;
      if (version !== undefined && !newest.has(version)) newest.set(version, { status, at: (EndTime ?? StartTime)?.toISOString() });
    }
    const releases = await Promise.all([...newest.keys()].map((version) => readTemplateVersion(ec2, launchTemplateId, version, signal)));
    const outcomes = new Map<number, Outcome>();
    for (const [at, outcome] of [...newest.values()].entries()) {
      const release = releases[at]?.release?.number;
      if (release !== undefined && !outcomes.has(release)) outcomes.set(release, outcome);
    }
    return outcomes;
  } catch (thrown) {
    if (thrown instanceof Failure) return new Map();
    throw thrown;
  }
}
