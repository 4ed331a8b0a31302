import { listOf, type Params, type Result, requiredText, type Service, ServiceError } from '../wire/query.ts';
import type { TargetGroup, TargetGroupSettings, TargetHealth } from './target-group.ts';
import { notRegistered } from './target-health.ts';

type Described = {
  readonly settings: TargetGroupSettings;
  readonly group: TargetGroup;
  readonly loadBalancerArn: string;
  /** Where it listens. */
  readonly host: string;
  readonly securityGroups?: readonly string[];
};

/** ELBv2 as the CLI reads it, load-balancer.md; throws ServiceError, `NotImplemented` for every other action. */
export function createService({ settings, group, loadBalancerArn, host, securityGroups }: Described): Service {
  const { name, port, healthCheck, deregistrationDelayMs, idleTimeoutMs } = settings;

  const targetGroups = (params: Params): Result => {
    const isAsked = isNamed(params, { TargetGroupArns: group.arn, Names: name });
    if (!isAsked) throw new ServiceError('TargetGroupNotFound', 'One or more target groups not found');
    const target = {
      TargetGroupArn: group.arn,
      TargetGroupName: name,
      Protocol: 'HTTP',
      ProtocolVersion: 'HTTP1',
      Port: port,
      TargetType: 'instance',
      IpAddressType: 'ipv4',
    };
    const checks = {
      HealthCheckEnabled: true,
      HealthCheckProtocol: 'HTTP',
      HealthCheckPort: healthCheck.port,
      HealthCheckPath: healthCheck.path,
      HealthCheckIntervalSeconds: seconds(healthCheck.intervalMs),
      HealthCheckTimeoutSeconds: seconds(healthCheck.timeoutMs),
      HealthyThresholdCount: healthCheck.healthyThreshold,
      UnhealthyThresholdCount: healthCheck.unhealthyThreshold,
      Matcher: { HttpCode: '200' },
    };
    return { TargetGroups: [{ ...target, ...checks, LoadBalancerArns: [loadBalancerArn] }] };
  };

  const loadBalancers = (params: Params): Result => {
    const isAsked = isNamed(params, { LoadBalancerArns: loadBalancerArn, Names: name });
    if (!isAsked) throw new ServiceError('LoadBalancerNotFound', 'One or more load balancers not found');
    const balancer = {
      LoadBalancerArn: loadBalancerArn,
      LoadBalancerName: name,
      DNSName: host,
      Type: 'application',
      Scheme: 'internal',
      IpAddressType: 'ipv4',
      SecurityGroups: securityGroups,
    };
    return { LoadBalancers: [{ ...balancer, State: { Code: 'active' } }] };
  };

  const targetHealth = async (params: Params): Promise<Result> => {
    const all = await group.health();
    const asked = targetsOf(params);
    const found =
      asked.length === 0
        ? all
        : asked.map(({ id, port: asked = port }) => all.find((each) => each.id === id && each.port === asked) ?? { id, port: asked, ...notRegistered });
    return { TargetHealthDescriptions: found.map((each) => describe(each, healthCheck.port)) };
  };

  return async ({ action, params }) => {
    switch (action) {
      case 'DescribeTargetHealth':
        targetGroups({ TargetGroupArns: [requiredText(params, 'TargetGroupArn')] });
        return targetHealth(params);
      case 'DescribeTargetGroups':
        return targetGroups(params);
      case 'DescribeTargetGroupAttributes':
        targetGroups({ TargetGroupArns: [requiredText(params, 'TargetGroupArn')] });
        return { Attributes: attributes({ 'deregistration_delay.timeout_seconds': deregistrationDelayMs }) };
      case 'DescribeLoadBalancers':
        return loadBalancers(params);
      case 'DescribeLoadBalancerAttributes':
        loadBalancers({ LoadBalancerArns: [requiredText(params, 'LoadBalancerArn')] });
        return { Attributes: attributes({ 'idle_timeout.timeout_seconds': idleTimeoutMs }) };
      default:
        throw new ServiceError('NotImplemented', `NotImplemented: ${action}`, 501);
    }
  };
}

/** AWS counts whole seconds; a scaled time is rounded up, so that what must be longer does not seem equal. */
const seconds = (ms: number): number => Math.ceil(ms / 1000);
const attributes = (timesMs: Readonly<Record<string, number>>) => Object.entries(timesMs).map(([Key, ms]) => ({ Key, Value: seconds(ms) }));

/** Whether every name that a filter lists is the one there is; without filters everything is asked for. */
const isNamed = (params: Params, names: Readonly<Record<string, string>>): boolean =>
  Object.entries(names).every(([filter, name]) => listOf(params, filter).every((asked) => asked === name));

function targetsOf({ Targets: targets }: Params): readonly { readonly id: string; readonly port?: number }[] {
  if (!Array.isArray(targets)) return [];
  return targets.map((target: Params) => ({ id: requiredText(target, 'Id'), ...(target.Port === undefined ? {} : { port: Number(target.Port) }) }));
}

const describe = ({ id, port, state, reason, description }: TargetHealth, healthPort: number): Result => ({
  HealthCheckPort: healthPort,
  Target: { Id: id, Port: port },
  TargetHealth: { State: state, Reason: reason, Description: description },
});
