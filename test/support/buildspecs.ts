/** pipeline/buildspecs as CodeBuild runs them, in a folder of the test's own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { localPython } from '../../local/moto.ts';
import { type Ended, run } from './run-files.ts';

export type Buildspec = {
  readonly version: number;
  readonly env: { readonly shell: string; readonly variables: Readonly<Record<string, string>>; readonly 'exported-variables'?: readonly string[] };
  readonly phases: Readonly<Record<string, { readonly 'on-failure': string; readonly commands: readonly string[] }>>;
};

const asJson = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';

export function readBuildspec(name: string): Buildspec {
  const file = fileURLToPath(new URL(`../../pipeline/buildspecs/${name}.yml`, import.meta.url));
  return JSON.parse(execFileSync(localPython, ['-c', asJson, file], { encoding: 'utf8' }));
}

/** Of all phases, in their order. */
export const commandsOf = ({ phases }: Buildspec): readonly string[] => Object.values(phases).flatMap(({ commands }) => commands);

export type Build = Ended & {
  /** The variables that a pipeline gets, where the build did not fail. */
  readonly exported: Readonly<Record<string, string>>;
};

type Container = {
  /** Where the build begins: CODEBUILD_SRC_DIR. */
  readonly folder: string;
  /** All that the build's environment has besides the buildspec's own variables, which the project's replace. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What is in the container's /usr/local/bin, and what the build puts there; without it that is this machine's. */
  readonly localBin?: string;
};

/**
 * Runs every phase of a buildspec until a command fails. As CodeBuild does (its errors name `/codebuild/output/tmp/script.sh: line 4`), each command is
 * a script: the folder and the variables, all exported, go on to the next one; functions, arrays and what `set` said do not.
 */
export async function runBuildspec(name: string, { folder, environment, localBin }: Container): Promise<Build> {
  const spec = readBuildspec(name);
  const kept = mkdtempSync(join(tmpdir(), 'pinion-build-'));
  const [variables, at] = [join(kept, 'env.sh'), join(kept, 'dir.txt')];
  writeFileSync(variables, '');
  writeFileSync(at, folder);
  const after = `CODEBUILD_LAST_EXIT=$?\nexport -p >${variables}\npwd >${at}\nexit $CODEBUILD_LAST_EXIT\n`;
  const told = (spec.env['exported-variables'] ?? []).map((each) => `printf '%s\\0' "${each}=$${each}" >>${join(kept, 'exported')}`);
  const scripts = [...commandsOf(spec), `:\n${told.join('\n')}`].map((command, index) => {
    const script = join(kept, `${index}.sh`);
    writeFileSync(script, `set -a; . ${variables}; cd "$(cat ${at})"\n${command}\n${after}`);
    return script;
  });
  const inOrder = ['bash', '-c', 'for script; do bash "$script" || exit; done', 'bash', ...scripts];
  const ownBin = localBin === undefined ? [] : ['unshare', '-rm', 'sh', '-c', `mount --bind '${localBin}' /usr/local/bin && exec "$@"`, 'sh'];
  const given = { ...spec.env.variables, CODEBUILD_SRC_DIR: folder, ...environment };
  const assignments = Object.entries(given).map(([variable, value]) => `${variable}=${value}`);
  try {
    const { stdout, stderr, end } = await run('env', ['-i', ...assignments, ...ownBin, ...inOrder], folder);
    const lines = end === 0 && told.length > 0 ? readFileSync(join(kept, 'exported'), 'utf8').split('\0').slice(0, -1) : [];
    const exported = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    return { stdout, stderr, end, exported };
  } finally {
    rmSync(kept, { recursive: true, force: true });
  }
}
