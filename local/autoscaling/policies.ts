import { randomUUID } from 'node:crypto';
import { listOf, type Params, requiredText, textOf } from '../wire/query.ts';
import type { Group } from './group.ts';
import { type GroupHandler, type Handler, invalid, page, refuse, structure } from './requests.ts';

/** A target tracking policy as it was put. Nothing here scales by it. */
export type Policy = { readonly name: string; readonly arn: string; readonly configuration: Params };

const describePolicy = ({ name: group }: Group, { name, arn, configuration }: Policy) => ({
  ...{ AutoScalingGroupName: group, PolicyName: name, PolicyARN: arn, PolicyType: 'TargetTrackingScaling' },
  ...{ TargetTrackingConfiguration: configuration, Alarms: [], Enabled: true },
});

export const onPolicies: Readonly<Record<string, GroupHandler>> = {
  PutScalingPolicy({ name: group, policies }, params) {
    refuse(params, 'PutScalingPolicy', 'StepAdjustments', 'PredictiveScalingConfiguration', 'ScalingAdjustment');
    const name = requiredText(params, 'PolicyName');
    const configuration = structure(params, 'TargetTrackingConfiguration');
    if (configuration === undefined) throw invalid('TargetTrackingConfiguration is required for policy type TargetTrackingScaling');
    const id = `scalingPolicy:${randomUUID()}:autoScalingGroupName/${group}:policyName/${name}`;
    const arn = policies.get(name)?.arn ?? `arn:aws:autoscaling:eu-west-1:123456789012:${id}`;
    policies.set(name, { name, arn, configuration });
    return { PolicyARN: arn, Alarms: [] };
  },
  DeletePolicy({ policies }, params) {
    const name = requiredText(params, 'PolicyName');
    if (!policies.delete(name)) throw invalid(`ScalingPolicy name not found - Policy name '${name}' not found`);
  },
};

export const describingPolicies: Readonly<Record<string, Handler>> = {
  DescribePolicies({ groups }, params) {
    const [of, names] = [textOf(params, 'AutoScalingGroupName'), listOf(params, 'PolicyNames')];
    const wanted = [...groups.values()].filter(({ name }) => of === undefined || name === of);
    const all = wanted.flatMap((group) => [...group.policies.values()].map((policy) => ({ group, policy })));
    const { items, NextToken } = page(params, names.length === 0 ? all : all.filter(({ policy }) => names.includes(policy.name)), { normal: 50, most: 100 });
    return { ScalingPolicies: items.map(({ group, policy }) => describePolicy(group, policy)), NextToken };
  },
};
