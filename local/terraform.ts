import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { withDeathSignal } from '../agent/app/process-group.ts';
import { keys, region } from './cloud.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const provider = 'registry.terraform.io/hashicorp/aws';
/** The account that moto answers for. */
export const accountId = '123456789012';

export type RootModule = 'state' | 'app' | 'environment';
/** What Terraform said, and its exit status or the signal that ended it. */
export type Ended = { readonly stdout: string; readonly stderr: string; readonly end: number | string };

/** A root in a folder of its own. */
export type Copy = {
  readonly folder: string;
  /** Runs Terraform in it; `seconds` is its time-out. It ends with this process. */
  readonly terraform: (args: readonly string[], seconds?: number) => Promise<Ended>;
};

/** A folder that has the AWS provider, as `terraform providers mirror FOLDER` fills it; or undefined. */
function providerMirror(): string | undefined {
  const below = (folder: string) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);
  const places = [
    process.env.PINION_TERRAFORM_MIRROR ?? [],
    join(homedir(), '.terraform.d/plugins'),
    ...['/opt', '/usr/share', '/usr/local/share'].flatMap((at) => [at, ...below(at)]),
  ];
  return places.flat().find((folder) => existsSync(join(folder, provider)));
}

/** What keeps Terraform from running here without a download, and how it is had; undefined when it can. */
export function terraformProblem(): string | undefined {
  const version = /^Terraform v(\d+)\.(\d+)/.exec(spawnSync('terraform', ['version'], { encoding: 'utf8' }).stdout ?? '');
  if (version === null || (Number(version[1]) === 1 && Number(version[2]) < 10))
    return 'Terraform 1.10 or later is missing: see releases.hashicorp.com/terraform';
  return providerMirror() === undefined
    ? 'the AWS provider is missing: in terraform/app, terraform providers mirror FOLDER, and PINION_TERRAFORM_MIRROR=FOLDER'
    : undefined;
}

/**
 * Runs Terraform with the provider of this machine, nothing of the caller's settings, and no way to an account but by `env`. When its seconds are over, or
 * `stopping` aborts, it is killed.
 */
export async function execute(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, seconds = 300, stopping?: AbortSignal): Promise<Ended> {
  stopping?.throwIfAborted();
  const settings = join(folder, 'terraform.rc');
  writeFileSync(settings, `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(providerMirror())}\n  }\n}\n`);
  const environment = {
    ...{ PATH: process.env.PATH, HOME: folder, TF_CLI_CONFIG_FILE: settings, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
    ...{ AWS_EC2_METADATA_DISABLED: 'true', ...env },
  };
  const [command, ...rest] = withDeathSignal(['terraform', `-chdir=${folder}`, ...args]);
  // A group of its own, with the provider in it: asked to end, Terraform first waits for what the provider goes on trying.
  const child = spawn(command, rest, { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (thrown) {
      // All of it has ended, and is about to be told.
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  };
  const late = setTimeout(kill, 1_000 * seconds);
  stopping?.addEventListener('abort', kill);
  try {
    const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { stdout, stderr, end: code ?? signal };
  } finally {
    clearTimeout(late);
    stopping?.removeEventListener('abort', kill);
  }
}

/** A copy of a root below `base`, beside the files of the repository that it reads; `overrides` are written into it. */
export function copyRoot(
  base: string,
  root: RootModule,
  overrides: Readonly<Record<string, string>> = {},
  env: NodeJS.ProcessEnv = {},
  stopping?: AbortSignal,
): Copy {
  const folder = join(base, 'terraform', root);
  cpSync(join(repository, 'terraform', root), folder, { recursive: true, filter: (path) => !['.terraform', '.terraform.lock.hcl'].includes(basename(path)) });
  mkdirSync(join(base, 'pipeline'));
  symlinkSync(join(repository, 'pipeline/buildspecs'), join(base, 'pipeline/buildspecs'));
  for (const [name, content] of Object.entries(overrides)) writeFileSync(join(folder, name), content);
  return { folder, terraform: (args, seconds) => execute(folder, args, env, seconds, stopping) };
}

const backend = `
terraform {
  backend "local" {}
}
provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
}
`;

/** A copy of a root whose provider asks the cloud at `endpoint` and which keeps its state beside it. */
export function copyForCloud(base: string, root: RootModule, endpoint: string, overrides: Readonly<Record<string, string>>, stopping?: AbortSignal): Copy {
  const credentials = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey, AWS_REGION: region };
  return copyRoot(base, root, { 'zz_override.tf': backend, ...overrides }, { ...credentials, AWS_ENDPOINT_URL: endpoint }, stopping);
}

export const initializing = ['init', '-input=false', '-no-color'] as const;
export const planning = ['plan', '-detailed-exitcode', '-input=false', '-no-color'] as const;
export const applying = ['apply', '-auto-approve', '-input=false', '-no-color'] as const;
export const destroying = [...applying, '-destroy'] as const;
