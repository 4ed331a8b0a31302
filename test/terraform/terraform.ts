/** Terraform as tests run it: a copy of a root, the providers of this machine, and nothing of the caller's settings. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type Ended, run } from '../support/run-files.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export type Root = 'state' | 'app' | 'environment';

/** Folders with `registry.terraform.io/hashicorp/aws` in them: what `terraform providers mirror` makes. */
const mirrors = (): readonly string[] => {
  const below = ['/opt', '/usr/share', '/usr/local/share', join(homedir(), '.terraform.d')];
  const found = below
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => globSync('*/registry.terraform.io/hashicorp/aws', { cwd: folder }).map((path) => join(folder, path, '../../..')));
  return [process.env.PINION_TERRAFORM_MIRROR, ...found].filter((folder) => folder !== undefined);
};

/** What keeps Terraform's tests from running here; undefined when they can. */
export function missingTerraform(): string | undefined {
  const version = /^Terraform v(\d+)\.(\d+)/.exec(spawnSync('terraform', ['version'], { encoding: 'utf8' }).stdout ?? '');
  if (version === null || Number(version[1]) < 1 || (Number(version[1]) === 1 && Number(version[2]) < 10)) return 'Terraform 1.10 or later is missing';
  return mirrors().length > 0 ? undefined : 'no mirror of the AWS provider is here: terraform providers mirror FOLDER, and PINION_TERRAFORM_MIRROR=FOLDER';
}

export type Terraform = {
  readonly folder: string;
  /** Runs Terraform in the copy; `seconds` is its time-out. */
  readonly terraform: (args: readonly string[], seconds?: number) => Promise<Ended>;
};

/** A copy of a root beside the files of the repository that it reads, initialized; `overrides` are written into it. */
export async function copyRoot(t: Test, root: Root, overrides: Readonly<Record<string, string>> = {}, env: NodeJS.ProcessEnv = {}): Promise<Terraform> {
  const base = t.testdir();
  const folder = join(base, 'terraform', root);
  cpSync(join(repository, 'terraform', root), folder, { recursive: true, filter: (path) => !['.terraform', '.terraform.lock.hcl'].includes(basename(path)) });
  mkdirSync(join(base, 'pipeline'));
  symlinkSync(join(repository, 'pipeline/buildspecs'), join(base, 'pipeline/buildspecs'));
  for (const [name, text] of Object.entries(overrides)) writeFileSync(join(folder, name), text);
  const settings = join(base, 'settings.tfrc');
  writeFileSync(settings, `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirrors()[0])}\n  }\n}\n`);
  const environment = { PATH: process.env.PATH, HOME: base, TF_CLI_CONFIG_FILE: settings, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1', ...env };
  const terraform = (args: readonly string[], seconds = 300) =>
    run('env', ['-i', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`), 'terraform', `-chdir=${folder}`, ...args], base, seconds);
  return { folder, terraform };
}

/** What Terraform says at its end, where that is no success. */
export function succeeds(t: Test, { end, stdout, stderr }: Ended, what: string): boolean {
  if (end !== 0) t.comment(`${stdout}\n${stderr}`);
  return t.equal(end, 0, what);
}

/** Formatted, valid, and its own tests hold. */
export function holds(t: Test, root: Root): void {
  const missing = missingTerraform();
  t.test(`terraform/${root} is formatted and valid, and its own tests hold`, missing === undefined ? {} : { skip: missing }, async (t) => {
    const { terraform } = await copyRoot(t, root);
    succeeds(t, await terraform(['fmt', '-check', '-recursive', '-diff', '-no-color']), 'fmt');
    succeeds(t, await terraform(['init', '-backend=false', '-input=false', '-no-color']), 'init');
    succeeds(t, await terraform(['validate', '-no-color']), 'validate');
    const tested = await terraform(['test', '-no-color']);
    succeeds(t, tested, 'test');
    const [, passed = '0'] = /(\d+) passed, 0 failed/.exec(tested.stdout) ?? [];
    t.ok(Number(passed) > 5, `${passed} runs`);
  });
}
