import { GetParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../contract/causes.ts';
import { firstProblem } from '../contract/document.ts';
import { type Infrastructure, infrastructureSchema } from '../contract/infrastructure.ts';
import { infrastructurePath } from '../contract/names.ts';
import { ask } from './aws.ts';

type Place = { readonly app: string; readonly env: string };
type Field = Exclude<keyof Infrastructure, 'schemaVersion'>;

/** The named fields of the infrastructure document, validated; the others may be missing. Throws INFRASTRUCTURE_MISSING, INFRASTRUCTURE_INVALID. */
export async function readInfrastructure<F extends Field>(
  ssm: SSMClient,
  place: Place,
  fields: readonly F[],
  signal: AbortSignal,
): Promise<Pick<Infrastructure, F>> {
  const parameter = infrastructurePath(place);
  const answer = await ask('GetParameter', parameter, () => ssm.send(new GetParameterCommand({ Name: parameter }), { abortSignal: signal })).catch((thrown) => {
    throw thrown?.cause?.name === 'ParameterNotFound' ? new Failure('INFRASTRUCTURE_MISSING', { parameter }, { cause: thrown }) : thrown;
  });
  let document: unknown;
  try {
    document = JSON.parse(answer.Parameter?.Value ?? '');
  } catch (cause) {
    throw new Failure('INFRASTRUCTURE_INVALID', { parameter, path: '/', problem: 'it is not JSON' }, { cause });
  }
  const asked = ['schemaVersion', ...fields] as const;
  const properties = Object.fromEntries(asked.map((field) => [field, infrastructureSchema.properties[field]]));
  const problem = firstProblem({ type: 'object', required: asked, properties }, document);
  if (problem !== undefined) throw new Failure('INFRASTRUCTURE_INVALID', { parameter, ...problem });
  return document as Pick<Infrastructure, F>;
}
