import { createHash } from 'node:crypto';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { defaultLimits, type Limits } from '../../agent/limits.ts';
import { configPath, type ReleaseNumber, releasePath, type Sha256 } from '../../contract/names.ts';
import type { ReleaseRecord } from '../../contract/release.ts';
import type { UserData } from '../../contract/user-data.ts';
import { startImds } from '../../local/imds.ts';
import { startMoto } from '../../local/moto.ts';
import { type FaultingProxy, startFaultingProxy } from './faulting-proxy.ts';

type Test = { teardown(fn: () => unknown): unknown };

/** Limits for tests: retries after milliseconds, timeouts of a second or two. */
export const quickLimits: Limits = {
  ...defaultLimits,
  bootBudgetMs: 15_000,
  imdsTimeoutMs: 2_000,
  connectTimeoutMs: 500,
  requestTimeoutMs: 1_000,
  retryBaseMs: 5,
  retryCapMs: 200,
};

const app = { app: 'shop', env: 'test' } as const;
export const sha256 = (text: string | Buffer): Sha256 => createHash('sha256').update(text).digest('hex') as Sha256;

/** A valid record, with `changes` laid over it. */
export const makeRecord = (changes: Partial<ReleaseRecord> = {}): ReleaseRecord => ({
  schemaVersion: 1,
  ...app,
  artifact: { bucket: 'artifacts', key: 'shop/a.tar.zst', versionId: 'v1', sha256: sha256('artifact'), sizeBytes: 8, unpackedBytes: 100, files: 3 },
  config: {},
  python: '3.13',
  platform: `linux_${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`,
  minAgent: '0.1.0',
  commit: '0123abc',
  createdAt: '2026-01-02T03:04:05.000Z',
  createdBy: 'a test',
  note: '',
  ...changes,
});

/** User data that names version `release` with the digest of `recordText`. */
export const makeUserData = (release: number, recordText: string): UserData => ({
  schemaVersion: 1,
  ...app,
  release: release as ReleaseNumber,
  recordSha256: sha256(recordText),
  autoScalingGroup: 'shop-test',
  hooks: { launch: 'launch', terminate: 'terminate' },
  times: {
    bootBudgetMs: 15_000,
    healthIntervalMs: 1_000,
    idleTimeoutMs: 1_000,
    deregistrationDelayMs: 1_000,
    warmUpMs: 1_000,
    graceMs: 1_000,
    launchHeartbeatMs: 60_000,
    terminateHeartbeatMs: 60_000,
    stopTimeoutMs: 60_000,
  },
});

/** moto and a client of the test's own, which goes past every fault. */
export type Cloud = {
  readonly endpoint: string;
  readonly ssm: SSMClient;
  /** A new version of the release parameter: its number. */
  putRecord(text: string): Promise<number>;
  /** A new version of a config value: its number. */
  putConfig(name: string, value: string, type?: 'String' | 'SecureString'): Promise<number>;
};

export async function startCloud(t: Test): Promise<Cloud> {
  const moto = await startMoto();
  t.teardown(() => moto.stop());
  const ssm = new SSMClient({ endpoint: moto.endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  t.teardown(() => ssm.destroy());
  const put = async (path: string, value: string, type: 'String' | 'SecureString') => {
    const command = new PutParameterCommand({ Name: path, Value: value, Type: type, Overwrite: true, Tier: 'Intelligent-Tiering' });
    return (await ssm.send(command)).Version ?? 0;
  };
  return {
    endpoint: moto.endpoint,
    ssm,
    putRecord: (text) => put(releasePath(app), text, 'String'),
    putConfig: (name, value, type = 'String') => put(configPath(app, name), value, type),
  };
}

/** A proxy before `endpoint`, which the SDK's own variables name until the end of the test. Tests that use it run one after the other. */
export async function faultBefore(t: Test, endpoint: string): Promise<FaultingProxy> {
  const proxy = await startFaultingProxy(t, endpoint);
  useEnvironment(t, { AWS_ENDPOINT_URL: proxy.url, AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  return proxy;
}

/** Sets variables of this process (undefined removes one) and puts them back at the end of the test. */
export function useEnvironment(t: Test, variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    const set = (to: string | undefined) => {
      if (to === undefined) delete process.env[name];
      else process.env[name] = to;
    };
    set(value);
    t.teardown(() => set(before));
  }
}

const anHour = () => ({ accessKeyId: 'AKIAINSTANCE', secretAccessKey: 'secret', sessionToken: 'session', expiration: new Date(Date.now() + 3_600_000) });

/** The metadata service of instance i-0123456789abcdef0 with a proxy before it. */
export async function startMetadata(t: Test, credentials: typeof anHour = anHour) {
  const imds = await startImds({ instance: 'i-0123456789abcdef0', address: '127.0.0.9', region: 'eu-west-1', roleName: 'runtime', credentials });
  t.teardown(() => imds.stop());
  return { imds, proxy: await startFaultingProxy(t, imds.endpoint) };
}
