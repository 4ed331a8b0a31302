import type { S3Client } from '@aws-sdk/client-s3';
import type { SSMClient } from '@aws-sdk/client-ssm';
import type { Limits } from '../limits.ts';
import { readConfig } from './config.ts';
import { download } from './download.ts';
import { type IdentitySource, readIdentity } from './identity.ts';
import { findInstalled } from './installed.ts';
import { phases, type Say } from './phases.ts';
import { type Launch, prepare } from './prepare.ts';
import { readRelease } from './release.ts';
import { unpack } from './unpack.ts';

/** What a boot needs of the host it runs on. */
export type Host = {
  readonly identity: IdentitySource;
  readonly ssm: SSMClient;
  readonly s3: () => Promise<S3Client>;
  /** `/var/lib/pinion`: releases, `current`. */
  readonly stateFolder: string;
  /** `/run/pinion`, on tmpfs: the environment file. */
  readonly runtimeFolder: string;
  /** `/run/pinion-app`, on tmpfs: gunicorn's configuration, the token of the app's credentials. */
  readonly appFolder: string;
  /** Overrides `/usr/bin/pythonX.Y`. */
  readonly interpreter: string | undefined;
  /** Address and port of the traffic listener. */
  readonly bind: string;
  /** Loopback port on which the app finds the credentials of its role. */
  readonly credentialsPort: number;
};

/** The whole boot: from user data to all that gunicorn needs, verified. Throws one Failure; values of config are only in the environment file. */
export async function boot(host: Host, limits: Limits, say: Say, stop: AbortSignal): Promise<Launch> {
  const failed = new AbortController();
  const phase = phases(limits, say, AbortSignal.any([stop, failed.signal]));
  const identity = await phase('identity', (s) => readIdentity(host.identity, s));
  const { app, env, times } = identity.userData;
  phase.setBudget(times.bootBudgetMs);
  say({ event: 'identified', app, env, instance: identity.instance, budgetMs: times.bootBudgetMs });
  // Its client loads (20 to 35 ms) while the record is on its way; who needs it meets what goes wrong.
  host.s3().catch(() => {});
  const release = await phase('release', (s) => readRelease(host.ssm, identity.userData, s));

  const install = async () => {
    const installed = await phase('installed', (s) => findInstalled(host.stateFolder, release, s));
    if (installed !== undefined) return installed;
    const s3 = await host.s3();
    const file = await phase('download', (s) => download(s3, release.artifact, host.stateFolder, limits, s));
    return phase('unpack', (s) => unpack(file, release, host.stateFolder, s));
  };
  // What a throttled attempt has read already is not asked again.
  const known = new Map<string, string>();
  const config = phase('config', (s) => readConfig(host.ssm, release, s, known));
  const [tree, values] = await bothOrNeither(failed, install(), config);
  return phase('prepare', () => prepare(host, identity, release, tree, values));
}

// The first to fail ends the other, and its Failure is the one thrown; nothing is still at work afterwards.
async function bothOrNeither<A, B>(failed: AbortController, a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  for (const work of [a, b]) work.catch((reason) => failed.abort(reason));
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}
