/** Terraform as tests run it: in a folder of their own, with the providers of this machine, nothing of the caller's settings, and no way to an account. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type Ended, run } from '../support/run-files.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
export type Root = 'state' | 'app' | 'environment';

const provider = 'registry.terraform.io/hashicorp/aws';

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

/** What keeps Terraform's tests from running here, which no package of Debian gives; undefined when they can. */
function missingTerraform(): string | undefined {
  const version = /^Terraform v(\d+)\.(\d+)/.exec(spawnSync('terraform', ['version'], { encoding: 'utf8' }).stdout ?? '');
  if (version === null || (Number(version[1]) === 1 && Number(version[2]) < 10))
    return 'Terraform 1.10 or later is missing: see releases.hashicorp.com/terraform';
  return providerMirror() === undefined
    ? 'the AWS provider is missing: in terraform/app, terraform providers mirror FOLDER, and PINION_TERRAFORM_MIRROR=FOLDER'
    : undefined;
}

/** Skips a file's tests by name where Terraform or its AWS provider is missing. */
export function needsTerraform(t: Pick<Test, 'plan'>): boolean {
  const missing = missingTerraform();
  if (missing !== undefined) t.plan(0, missing);
  return missing === undefined;
}

async function execute(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, seconds = 300): Promise<Ended> {
  const settings = join(folder, 'terraform.rc');
  writeFileSync(settings, `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(providerMirror())}\n  }\n}\n`);
  const environment = {
    ...{ PATH: process.env.PATH, HOME: folder, TF_CLI_CONFIG_FILE: settings, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' },
    ...{ AWS_EC2_METADATA_DISABLED: 'true', ...env },
  };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return run('env', ['-i', ...variables, 'terraform', `-chdir=${folder}`, ...args], folder, seconds);
}

/** Runs Terraform and gives its stdout; throws with both streams. */
export async function terraform(folder: string, ...args: string[]): Promise<string> {
  const { stdout, stderr, end } = await execute(folder, args);
  if (end !== 0) throw new Error(`terraform ${args.join(' ')} ended with ${end}:\n${errorsOf(stdout)}\n${stderr}`);
  return stdout;
}

/** Of lines of JSON what is an error; of others everything. */
const errorsOf = (stdout: string): string =>
  stdout
    .split('\n')
    .filter((line) => !line.startsWith('{') || line.includes('"@level":"error"'))
    .map((line) => line.slice(0, 1_000))
    .join('\n');

/** A root in a folder of its own. */
export type Copy = {
  readonly folder: string;
  /** Runs Terraform in it; `seconds` is its time-out. */
  readonly terraform: (args: readonly string[], seconds?: number) => Promise<Ended>;
};

/** A copy of a root, beside the files of the repository that it reads; `overrides` are written into it. */
export function copyRoot(t: Test, root: Root, overrides: Readonly<Record<string, string>> = {}, env: NodeJS.ProcessEnv = {}): Copy {
  const base = t.testdir();
  const folder = join(base, 'terraform', root);
  cpSync(join(repository, 'terraform', root), folder, { recursive: true, filter: (path) => !['.terraform', '.terraform.lock.hcl'].includes(basename(path)) });
  mkdirSync(join(base, 'pipeline'));
  symlinkSync(join(repository, 'pipeline/buildspecs'), join(base, 'pipeline/buildspecs'));
  for (const [name, text] of Object.entries(overrides)) writeFileSync(join(folder, name), text);
  return { folder, terraform: (args, seconds) => execute(folder, args, env, seconds) };
}

/** Says what Terraform said where that is no success. */
export function succeeds(t: Test, { end, stdout, stderr }: Ended, what: string): boolean {
  if (end !== 0) t.comment(`${stdout}\n${stderr}`);
  return t.equal(end, 0, what);
}

/** Formatted, valid, and its own tests hold. */
export function holds(t: Test, root: Root): void {
  if (!needsTerraform(t)) return;
  t.test(`terraform/${root} is formatted and valid, and its own tests hold`, async (t) => {
    const { terraform } = copyRoot(t, root);
    succeeds(t, await terraform(['fmt', '-check', '-recursive', '-diff', '-no-color']), 'fmt');
    succeeds(t, await terraform(['init', '-backend=false', '-input=false', '-no-color']), 'init');
    succeeds(t, await terraform(['validate', '-no-color']), 'validate');
    const tested = await terraform(['test', '-no-color']);
    succeeds(t, tested, 'test');
    const [, passed = '0'] = /(\d+) passed, 0 failed/.exec(tested.stdout) ?? [];
    t.ok(Number(passed) > 5, `${passed} runs`);
  });
}
