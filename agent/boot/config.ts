import { GetParametersCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { asFailure, Failure } from '../../contract/causes.ts';
import { configPath } from '../../contract/names.ts';
import type { Release } from '../../contract/release.ts';
import { isKeyRefusal, serviceFailure } from '../aws.ts';

/**
 * The values of a release's config. They live in a closure, so that whatever prints, serialises or clones this object gets the names alone;
 * only `entries()` gives them out.
 */
export type Config = { readonly names: readonly string[]; entries(): Iterable<readonly [name: string, value: string]> };

/** GetParameters takes ten names (AWS: GetParameters, Names). */
const batchSize = 10;
/** More would spend the account's quota (40 a second) in bursts; four read forty names in one round trip. */
const parallelCalls = 4;

/**
 * Reads every config value at the version the release names, ten a call. `known` keeps what was read by parameter and version, so that a caller who
 * retries with the same map asks only for the rest. Throws CONFIG_MISSING, CONFIG_MIXED, CONFIG_KEY_DENIED, SSM_THROTTLED, SSM_UNAVAILABLE, SSM_DENIED,
 * CREDENTIALS_UNAVAILABLE.
 */
export async function readConfig(ssm: SSMClient, release: Release, signal: AbortSignal, known: Map<string, string> = new Map()): Promise<Config> {
  const wanted = new Map(Object.entries(release.config).map(([name, version]) => [`${configPath(release, name)}:${version}`, name]));
  const unread = [...wanted.keys()].filter((key) => !known.has(key));
  const batches: string[][] = [];
  for (let at = 0; at < unread.length; at += batchSize) batches.push(unread.slice(at, at + batchSize));

  const failures: Failure[] = [];
  const readBatches = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      try {
        for (const [key, value] of await readBatch(ssm, batch, release, signal)) known.set(key, value);
      } catch (thrown) {
        signal.throwIfAborted();
        failures.push(asFailure(thrown));
        batches.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: parallelCalls }, readBatches));
  const worst = failures.find((failure) => !failure.isTransient) ?? failures[0];
  if (worst !== undefined) throw worst;

  const values = [...wanted].map(([key, name]) => [name, known.get(key) ?? ''] as const);
  return { names: [...wanted.values()], entries: () => values };
}

/** One call: the values by `path:version`. The order of the answer is random, and its `Selector` is not everywhere. */
async function readBatch(ssm: SSMClient, batch: readonly string[], release: Release, signal: AbortSignal): Promise<Map<string, string>> {
  const root = configPath(release, '');
  const say = (keys: readonly string[]) => keys.map((key) => key.replace(root, '')).join(', ');
  const { Parameters = [], InvalidParameters = [] } = await ssm
    .send(new GetParametersCommand({ Names: [...batch], WithDecryption: true }), { abortSignal: signal })
    .catch((thrown: unknown) => {
      if (isKeyRefusal(thrown)) throw new Failure('CONFIG_KEY_DENIED', { names: say(batch), detail: thrown.name }, { cause: thrown });
      throw serviceFailure(thrown, { service: 'ssm', action: 'GetParameters', parameter: `${root}*` });
    });
  if (InvalidParameters.length > 0) throw new Failure('CONFIG_MISSING', { names: say(InvalidParameters) });
  const values = new Map(Parameters.map(({ Name, Version, Value }) => [`${Name}:${Version}`, Value]));
  const stray = [...values.keys()].filter((key) => !batch.includes(key));
  const missing = batch.filter((key) => values.get(key) === undefined);
  if (stray.length > 0) throw new Failure('CONFIG_MIXED', { found: say(stray), expected: say(missing.length > 0 ? missing : batch) });
  if (missing.length > 0) throw new Failure('CONFIG_MISSING', { names: say(missing) });
  return values as Map<string, string>;
}
