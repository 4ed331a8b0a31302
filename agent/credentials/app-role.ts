import { asFailure, type CauseReport, Failure } from '../../contract/causes.ts';
import type { ClientLimits, Refusal } from '../aws-client.ts';
import type { Imds } from '../imds.ts';
import { fullJitterMs } from '../jitter.ts';
import type { Limits } from '../limits.ts';

/** Credentials as the container credential provider of an SDK takes them (AWS SDKs and Tools Reference Guide; Amazon ECS Developer Guide, "Task IAM role"). */
export type RoleCredentials = Readonly<Record<'AccessKeyId' | 'SecretAccessKey' | 'Token' | 'Expiration' | 'RoleArn', string>>;

export type AppRole = {
  /** Credentials that are still valid, renewed first when they end soon. Throws APP_ROLE_DENIED, APP_ROLE_UNAVAILABLE, CREDENTIALS_UNAVAILABLE, REGION_MISSING, IMDS_UNAVAILABLE, CLOCK_SKEWED. */
  credentials(): Promise<RoleCredentials>;
  /** Ends what is under way. */
  close(): void;
};

export type RoleLimits = ClientLimits & Pick<Limits, 'roleSessionMs' | 'roleRenewMs' | 'roleAnswerMs' | 'roleRetryBaseMs' | 'roleRetryCapMs'>;

type Options = {
  readonly roleArn: string;
  /** Who the app is in CloudTrail: the instance id. */
  readonly session: string;
  readonly imds: Imds | undefined;
  readonly limits: RoleLimits;
  /** STS gave nothing, and why; once until the reason changes. */
  readonly onFailure: (report: CauseReport) => void;
  readonly onRecovered: () => void;
};

/**
 * The role of the app, assumed with the credentials of the agent's own. One call for all who ask; after a failure the next call waits, by full jitter, so that
 * hosts that fail together do not ask together. Its lifetime is measured here, from before the call: the host's clock may be wrong.
 */
export function createAppRole({ roleArn, session, imds, limits, onFailure, onRecovered }: Options): AppRole {
  const closing = new AbortController();
  let client: Awaited<ReturnType<typeof loadClient>> | undefined;
  let current: { readonly credentials: RoleCredentials; readonly endsAtMs: number } | undefined;
  let asking: Promise<void> | undefined;
  let failure: Failure | undefined;
  let failures = 0;
  let waitUntilMs = 0;

  const leftMs = () => (current?.endsAtMs ?? 0) - performance.now();

  const ask = async () => {
    const endsAtMs = performance.now() + limits.roleSessionMs;
    try {
      client ??= await loadClient(imds, limits);
      current = { credentials: await client.assume(roleArn, session, closing.signal), endsAtMs };
    } catch (thrown) {
      if (closing.signal.aborted) return;
      const now = asFailure(thrown);
      waitUntilMs = performance.now() + fullJitterMs(failures++, limits.roleRetryBaseMs, limits.roleRetryCapMs, Math.random());
      if (now.message !== failure?.message) onFailure(now.report);
      failure = now;
      return;
    }
    if (failure !== undefined) onRecovered();
    failure = undefined;
    failures = 0;
  };

  return {
    async credentials() {
      if (leftMs() <= limits.roleRenewMs && performance.now() >= waitUntilMs) {
        asking ??= ask().finally(() => {
          asking = undefined;
        });
        // While STS fails, what is still valid is given at once.
        if (failure === undefined || leftMs() <= 0) await within(limits.roleAnswerMs, asking);
      }
      if (current !== undefined && leftMs() > 0) return current.credentials;
      throw failure ?? new Failure('APP_ROLE_UNAVAILABLE', { role: roleArn, detail: `no answer within ${limits.roleAnswerMs} ms` });
    },
    close() {
      closing.abort();
      client?.destroy();
    },
  };
}

/** Waits for `work`, but no longer than this. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const deadline = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(deadline);
}

/** Loaded at the first call: beside CloudWatch's, which the agent has anyway, it costs 1 MB and 10 ms. */
async function loadClient(imds: Imds | undefined, limits: RoleLimits) {
  const [{ AssumeRoleCommand, STSClient }, { clientOptions, learning, refusalOf }] = await Promise.all([
    import('@aws-sdk/client-sts'),
    import('../aws-client.ts'),
  ]);
  const client = learning(new STSClient(clientOptions(imds, limits)));
  return {
    async assume(RoleArn: string, RoleSessionName: string, abortSignal: AbortSignal): Promise<RoleCredentials> {
      const command = new AssumeRoleCommand({ RoleArn, RoleSessionName, DurationSeconds: Math.ceil(limits.roleSessionMs / 1000) });
      const { Credentials } = await client.send(command, { abortSignal }).catch((thrown: unknown) => {
        const refusal = refusalOf(thrown);
        throw refusal instanceof Failure ? refusal : roleFailure(RoleArn, refusal, thrown);
      });
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
      if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined || Expiration === undefined) {
        throw new Failure('APP_ROLE_UNAVAILABLE', { role: RoleArn, detail: 'an answer without credentials' });
      }
      return { AccessKeyId, SecretAccessKey, Token: SessionToken, Expiration: Expiration.toISOString(), RoleArn };
    },
    destroy: () => client.destroy(),
  };
}

/** STS answers AccessDenied also for a role that does not exist, and RegionDisabledException where it is off in the Region. */
const roleFailure = (role: string, { detail, isWrong }: Refusal, cause: unknown): Failure =>
  new Failure(isWrong ? 'APP_ROLE_DENIED' : 'APP_ROLE_UNAVAILABLE', { role, detail }, { cause });
