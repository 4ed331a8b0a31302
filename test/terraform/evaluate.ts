import { runSimulation, type Simulation } from '@cloud-copilot/iam-simulate';
import { account, type Policy, type Role } from './policies.ts';

export type Context = Readonly<Record<string, string>>;
export type Request = { readonly action: string; readonly resource: string; readonly context?: Context };

/** May; is not granted, so that another policy could add it; cannot, whatever policy is attached, since its boundary or the resource itself has the last word. */
export type Verdict = 'may' | 'is not granted' | 'cannot';

const everything: Policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

/** What IAM would say to a role, by the resource's own policy too where it has one. Throws where the evaluator takes the request for none. */
export async function verdictOn(role: Role, request: Request, resourcePolicy?: Policy): Promise<Verdict> {
  if (await isAllowed(role.arn, request, role.identity, role.boundary, resourcePolicy)) return 'may';
  return (await isAllowed(role.arn, request, { everything }, role.boundary, resourcePolicy)) ? 'is not granted' : 'cannot';
}

/** Whether even an administrator's policy, attached to the role and without a boundary, would leave it denied: by the role's own policies or by the resource's. */
export const isDeniedForGood = async (role: Role, request: Request, resourcePolicy?: Policy): Promise<boolean> =>
  !(await isAllowed(role.arn, request, { ...role.identity, everything }, undefined, resourcePolicy));

/** Whether a trust policy lets a service take the role, or a role take another. */
export const isTrusted = (trust: Policy, role: string, principal: string, context: Context = {}): Promise<boolean> =>
  isAllowed(principal, { action: 'sts:AssumeRole', resource: role, context }, principal.startsWith('arn:') ? { everything } : {}, undefined, trust);

/** Whether a VPC endpoint lets a request pass that everything else allows. */
export const passes = (endpoint: Policy, principal: string, request: Request): Promise<boolean> =>
  isAllowed(principal, request, { everything }, undefined, undefined, endpoint);

async function isAllowed(
  principal: string,
  request: Request,
  identity: Role['identity'],
  boundary?: Policy,
  resourcePolicy?: Policy,
  endpoint?: Policy,
): Promise<boolean> {
  const { action, resource, context = {} } = request;
  const whose: Context = principal.startsWith('arn:') ? { 'aws:PrincipalArn': principal, 'aws:PrincipalAccount': account } : {};
  const simulation: Simulation = {
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: { 'aws:SecureTransport': 'true', ...whose, ...context } },
    identityPolicies: Object.entries(identity).map(([name, policy]) => ({ name, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(boundary === undefined ? {} : { permissionBoundaryPolicies: [{ name: 'boundary', policy: boundary }] }),
    ...(resourcePolicy === undefined ? {} : { resourcePolicy }),
    ...(endpoint === undefined ? {} : { vpcEndpointPolicies: [{ name: 'endpoint', policy: endpoint }] }),
  };
  const answer = await runSimulation(simulation, { simulationMode: 'Strict' });
  const asked = `${action} on ${resource}`;
  if (answer.resultType === 'error') throw new Error(`${asked}: ${JSON.stringify(answer.errors)}`);
  const results = answer.resultType === 'single' ? [answer.result] : answer.results;
  const ignored = results.flatMap((result) => result.ignoredContextKeys ?? []).filter((name) => name in context);
  if (ignored.length > 0) throw new Error(`${asked}: ${ignored.join(', ')} says nothing of it`);
  return answer.overallResult === 'Allowed';
}
