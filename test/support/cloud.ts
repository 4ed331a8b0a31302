import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { composeUserData, type Infrastructure } from '../../contract/infrastructure.ts';
import { infrastructurePath } from '../../contract/names.ts';
import type { UserData } from '../../contract/user-data.ts';
import { startMoto } from '../../local/moto.ts';
import { build } from '../../pipeline/artifact/build.ts';
import { type Built, readBuilt } from '../../pipeline/artifact/built.ts';
import { publish } from '../../pipeline/artifact/publish.ts';
import type { Clients } from '../../pipeline/aws.ts';
import { setConfig } from '../../pipeline/config/parameters.ts';
import { release } from '../../pipeline/release/release.ts';

type Teardown = { teardown(work: () => unknown): unknown };

export const region = 'eu-west-1';
export const infrastructure: Infrastructure = {
  schemaVersion: 1,
  autoScalingGroup: 'group',
  launchTemplateId: 'lt-0',
  targetGroupArn: 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/0',
  loadBalancerUrl: 'http://127.0.0.1/',
  artifactBucket: 'artifacts',
  alarms: [],
  hooks: { launch: 'launch', terminate: 'terminate' },
  times: {
    bootBudgetMs: 60_000,
    healthIntervalMs: 1_000,
    idleTimeoutMs: 60_000,
    deregistrationDelayMs: 30_000,
    warmUpMs: 30_000,
    graceMs: 30_000,
    launchHeartbeatMs: 120_000,
    terminateHeartbeatMs: 120_000,
    stopTimeoutMs: 60_000,
  },
};

/** moto with a versioned artifact bucket, and the CLI's own verbs to fill it. */
export type Cloud = {
  readonly endpoint: string;
  readonly clients: Clients;
  /** Publishes what was built in `appDir`, sets each name of `config`, releases, and gives the user data that boots it. */
  releaseBuilt(appDir: string, config?: Readonly<Record<string, string>>): Promise<UserData>;
};

export async function startCloud(t: Teardown): Promise<Cloud> {
  const moto = await startMoto();
  t.teardown(() => moto.stop());
  const options = { endpoint: moto.endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const clients = { s3: new S3Client({ ...options, forcePathStyle: true }), ssm: new SSMClient(options) };
  const Bucket = infrastructure.artifactBucket;
  await clients.s3.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: region } }));
  await clients.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const env = 'test';
  return {
    endpoint: moto.endpoint,
    clients,
    async releaseBuilt(appDir, config = {}) {
      const { manifest } = await readBuilt(appDir);
      const place = { app: manifest.app, env };
      const document = { Name: infrastructurePath(place), Value: JSON.stringify(infrastructure), Type: 'String', Overwrite: true } as const;
      await clients.ssm.send(new PutParameterCommand(document));
      for (const [name, value] of Object.entries(config)) {
        await setConfig(clients.ssm, place, manifest.config, { name, bytes: Buffer.from(value), type: 'SecureString' }, new AbortController().signal);
      }
      await publish(appDir, env, clients);
      const { release: number, recordSha256 } = await release(appDir, env, clients);
      return composeUserData(place, infrastructure, number, recordSha256);
    },
  };
}

const sampleApp = fileURLToPath(new URL('../../flask-app', import.meta.url));

type BuiltApp = Built & { readonly interpreter: string; readonly appDir: string };
type AppOf = { readonly files: Readonly<Record<string, string>>; readonly settings: string };

/** Builds an app of these files and this `[tool.pinion]`, with the sample app's requirements, in `folder`. */
export function buildApp(folder: string, { files, settings }: AppOf): Promise<BuiltApp> {
  const appDir = join(folder, 'app');
  mkdirSync(appDir, { recursive: true });
  cpSync(join(sampleApp, 'requirements.txt'), join(appDir, 'requirements.txt'));
  writeFileSync(join(appDir, 'pyproject.toml'), `[tool.pinion]\napp = "shop"\npython = "3.13"\n${settings}`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(appDir, path)), { recursive: true });
    writeFileSync(join(appDir, path), text);
  }
  return buildHere(appDir);
}

/** Builds a copy of the app in `source`, so that nothing is written beside it. */
export function buildCopy(folder: string, source: string): Promise<BuiltApp> {
  const appDir = join(folder, 'app');
  cpSync(source, appDir, { recursive: true, filter: (path) => !path.endsWith('/.pinion') });
  return buildHere(appDir);
}

/** With this machine's Python and the sample app's cache of wheels: what one test fetched, the others need not. */
async function buildHere(appDir: string): Promise<BuiltApp> {
  const cache = join(sampleApp, '.pinion', 'cache');
  for (const made of [cache, join(appDir, '.pinion')]) mkdirSync(made, { recursive: true });
  symlinkSync(cache, join(appDir, '.pinion', 'cache'));
  return { ...(await build(appDir, { python: hostPython() })), appDir };
}

/** X.Y of the machine's `python3`. */
export function hostPython(): string {
  return execFileSync('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { encoding: 'utf8' }).trim();
}
