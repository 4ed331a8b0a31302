import { GetParameterCommand, GetParametersCommand, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { Failure } from '../../contract/causes.ts';
import { configKeyAlias, configPath } from '../../contract/names.ts';
import { ask } from '../aws.ts';
import { configValue } from './value.ts';

export type Place = { readonly app: string; readonly env: string };
export type ConfigType = 'String' | 'SecureString';
/** One version of a config name, without its value. */
export type ConfigVersion = { readonly name: string; readonly version: number; readonly type: ConfigType; readonly changedAt: string | undefined };
export type ConfigSet = { readonly name: string; readonly version: number; readonly type: ConfigType; readonly unchanged: boolean };

type NewValue = { readonly name: string; readonly bytes: Uint8Array; readonly type: ConfigType };

/**
 * Sets one config name and gives its version; an equal value makes no new one. `names` are those of the app.
 * Throws CONFIG_NAME_UNKNOWN, CONFIG_VALUE_REFUSED, CONFIG_TYPE_CHANGED, CONFIG_KEY_MISSING, AWS_*.
 */
export async function setConfig(
  ssm: SSMClient,
  place: Place,
  names: readonly string[],
  { name, bytes, type }: NewValue,
  signal: AbortSignal,
): Promise<ConfigSet> {
  knownName(names, name);
  const checked = configValue(bytes);
  if ('problem' in checked) throw new Failure('CONFIG_VALUE_REFUSED', { name, problem: checked.problem });
  const current = await readParameter(ssm, place, name, undefined, signal);
  if (current !== undefined && current.type !== type) throw new Failure('CONFIG_TYPE_CHANGED', { name, found: current.type, asked: type });
  if (current?.value === checked.value) return { name, version: current.version, type, unchanged: true };
  const path = configPath(place, name);
  const key = configKeyAlias(place);
  const put = new PutParameterCommand({
    ...{ Name: path, Value: checked.value, Type: type, Overwrite: true, Tier: 'Intelligent-Tiering' },
    ...(type === 'SecureString' && { KeyId: key }),
  });
  const answer = await ask('PutParameter', path, () => ssm.send(put, { abortSignal: signal })).catch((thrown) => {
    throw thrown?.cause?.name === 'InvalidKeyId' ? new Failure('CONFIG_KEY_MISSING', { name, key }, { cause: thrown }) : thrown;
  });
  return { name, version: answer.Version ?? 0, type, unchanged: false };
}

/** One config name with its value, the newest version unless another is named. Throws CONFIG_NAME_UNKNOWN, CONFIG_NOT_SET, CONFIG_VERSION_MISSING, AWS_*. */
export async function getConfig(
  ssm: SSMClient,
  place: Place,
  names: readonly string[],
  { name, version }: { readonly name: string; readonly version: number | undefined },
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly version: number; readonly type: ConfigType; readonly value: string }> {
  knownName(names, name);
  const found = await readParameter(ssm, place, name, version, signal);
  if (found !== undefined) return { name, ...found };
  throw version === undefined ? new Failure('CONFIG_NOT_SET', { env: place.env, names: name }) : new Failure('CONFIG_VERSION_MISSING', { name, version });
}

export function knownName(names: readonly string[], name: string): void {
  if (!names.includes(name)) throw new Failure('CONFIG_NAME_UNKNOWN', { name });
}

async function readParameter(
  ssm: SSMClient,
  place: Place,
  name: string,
  version: number | undefined,
  signal: AbortSignal,
): Promise<{ readonly version: number; readonly type: ConfigType; readonly value: string } | undefined> {
  const path = configPath(place, name);
  const command = new GetParameterCommand({ Name: version === undefined ? path : `${path}:${version}`, WithDecryption: true });
  const answer = await ask('GetParameter', path, () =>
    ssm.send(command, { abortSignal: signal }).catch((thrown) => {
      if (['ParameterNotFound', 'ParameterVersionNotFound'].includes(thrown?.name)) return undefined;
      throw thrown;
    }),
  );
  const found = answer?.Parameter;
  return found && { version: found.Version ?? 0, type: found.Type as ConfigType, value: found.Value ?? '' };
}

/** GetParameters takes ten names (AWS: Parameter Store API). */
const batchNames = 10;

/**
 * The version in use of every name: the newest, or the one that `chosen` gives. A name or version that does not exist is missing from the map.
 * Nothing is decrypted.
 */
export async function readConfigVersions(
  ssm: SSMClient,
  place: Place,
  names: readonly string[],
  chosen: Readonly<Record<string, number>>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ConfigVersion>> {
  const byPath = new Map(names.map((name) => [configPath(place, name), name]));
  const asked = [...byPath].map(([path, name]) => (chosen[name] === undefined ? path : `${path}:${chosen[name]}`));
  const batches = Array.from({ length: Math.ceil(asked.length / batchNames) }, (_, at) => asked.slice(at * batchNames, (at + 1) * batchNames));
  const answers = await Promise.all(
    batches.map((Names) =>
      ask('GetParameters', `/pinion/${place.app}/${place.env}/config/`, () =>
        ssm.send(new GetParametersCommand({ Names, WithDecryption: false }), { abortSignal: signal }),
      ),
    ),
  );
  const versions = new Map<string, ConfigVersion>();
  for (const { Name, Version, Type, LastModifiedDate } of answers.flatMap(({ Parameters }) => Parameters ?? [])) {
    const name = byPath.get(Name ?? '');
    if (name === undefined || Version === undefined) continue;
    versions.set(name, { name, version: Version, type: Type as ConfigType, changedAt: LastModifiedDate?.toISOString() });
  }
  return versions;
}
