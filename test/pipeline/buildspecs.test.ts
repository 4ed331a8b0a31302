import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import t, { type Test } from 'tap';
import { configPath } from '../../contract/names.ts';
import { readFleetStatus } from '../../pipeline/rollout/status.ts';
import { commandsOf, readBuildspec, runBuildspec } from '../support/buildspecs.ts';
import { makeApp } from '../support/pipeline-app.ts';
import { openRolloutLab, pace, type RolloutLab } from '../support/rollout.ts';
import { run } from '../support/run-files.ts';
import { needsTool } from '../support/tool.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const names = ['build', 'deploy', 'rollback', 'promote', 'plan', 'apply'] as const;
const specs = Object.fromEntries(names.map((name) => [name, readBuildspec(name)]));

t.test("they are CodeBuild's: version 0.2, bash, a phase that fails ends the build, and nothing secret in them", async (t) => {
  for (const [name, spec] of Object.entries(specs)) {
    t.match(spec, { version: 0.2, env: { shell: 'bash' } }, name);
    t.same(Object.keys(spec.phases), ['install', 'build']);
    for (const phase of ['install', 'build']) t.equal(spec.phases[phase]?.['on-failure'], 'ABORT');
    t.ok(commandsOf(spec).length <= 10, 'a few lines');
    t.notMatch(commandsOf(spec).join('\n'), /\b(if|for|while|case)\b/, 'and no logic');
    t.notMatch(JSON.stringify(spec.env), /AKIA|secret|password/i);
  }
});

t.test('their commands are shellcheck clean', async (t) => {
  if (!needsTool(t, 'shellcheck', 'apt-get install shellcheck')) return;
  for (const [name, spec] of Object.entries(specs)) {
    const script = join(t.testdir(), `${name}.sh`);
    writeFileSync(script, ['#!/bin/bash', ...commandsOf(spec)].join('\n'));
    const { stdout, end } = await run('shellcheck', [script]);
    t.equal(end, 0, stdout);
  }
});

/** A source folder as CodeBuild has it: the app, and pinion beside it; its `npm` does nothing but say that it was asked. */
function sources(t: Test, lab: RolloutLab) {
  const { appDir, env } = makeApp(t, { settings: 'config = ["GREETING"]\nrelease-header = "X-Release"\n' });
  const folder = dirname(appDir);
  symlinkSync(root, join(folder, 'pinion'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho "$@" >>${join(folder, 'npm-asked')}\n`);
  chmodSync(join(bin, 'npm'), 0o755);
  const codebuild = { CODEBUILD_INITIATOR: 'codepipeline/shop', CODEBUILD_RESOLVED_SOURCE_VERSION: '4f2c0de', CODEBUILD_BUILD_ID: 'shop:1' };
  const given = { ...env, ...lab.environment, ...codebuild, PINION_ENV: lab.place.env, PINION_APP_DIR: appDir, PINION_PACE: JSON.stringify(pace) };
  return async (name: (typeof names)[number], more: Readonly<Record<string, string>> = {}) => {
    const ended = await runBuildspec(name, { folder, environment: { ...given, ...more, PATH: `${bin}${delimiter}${env.PATH}` } });
    return { ...ended, asked: readFileSync(join(folder, 'npm-asked'), 'utf8').trim().split('\n') };
  };
}

t.test('build, deploy, build, deploy, rollback, promote: each runs whole against the local cloud', async (t) => {
  const lab = await openRolloutLab(t);
  await lab.clients.ssm.send(new PutParameterCommand({ Name: configPath(lab.place, 'GREETING'), Value: 'hello', Type: 'String' }));
  const codebuild = sources(t, lab);
  const status = () => readFleetStatus(lab.clients, lab.place, new Date(), new AbortController().signal);

  const objects = async () => (await lab.clients.s3.send(new ListObjectsV2Command({ Bucket: lab.infrastructure.artifactBucket }))).KeyCount;
  const before = await objects();
  const untested = await codebuild('build', { PINION_TEST: 'cat pyproject.toml && echo "one test fails" >&2 && false' });
  t.match(untested, { stdout: /tool\.pinion/, stderr: /one test fails/, exported: {} });
  t.not(untested.end, 0);
  t.equal(await objects(), before, 'what its tests refuse is not published');

  const built = await codebuild('build', { PINION_TEST: 'cat pyproject.toml' });
  t.equal(built.end, 0, built.stderr);
  t.match(built.exported, { PINION_RELEASE: '1', PINION_RECORD_SHA256: /^[0-9a-f]{64}$/ });
  const digest = built.exported.PINION_RECORD_SHA256 ?? '';
  t.match(built.asked, [/^ci --prefix pinion/]);
  const another = await codebuild('deploy', { PINION_RELEASE: '1', PINION_RECORD_SHA256: digest.replace(/^./, (first) => (first === '0' ? '1' : '0')) });
  t.not(another.end, 0);
  t.match(another.stderr, /release 1 is not the record [0-9a-f]{64}/, 'the record that was approved, or none');
  const deployed = await codebuild('deploy', { PINION_RELEASE: '1', PINION_RECORD_SHA256: digest });
  t.equal(deployed.end, 0, deployed.stderr);
  t.match(deployed.stdout, /^release 1 is live on template version 2/m);

  t.match((await codebuild('build')).exported, { PINION_RELEASE: '2' });
  t.match(await codebuild('deploy'), { end: 0, stdout: /^release 2 is live/m }, 'the newest without a number');
  const back = await codebuild('rollback');
  t.equal(back.end, 0, back.stderr);
  t.match(back.stdout, /^release 1 is live/m);
  t.match(await status(), { live: 1, previous: 2, serving: 2, runs: { release: 1, isProven: true } });
  t.match(await codebuild('rollback', { PINION_RELEASE: '2' }), { end: 0, stdout: /^release 2 is live/m });

  const promoted = await codebuild('promote', { PINION_FROM: `${lab.place.env}:1:${digest}` });
  t.match(promoted, { end: 0, exported: { PINION_RELEASE: '3', PINION_RECORD_SHA256: /^[0-9a-f]{64}$/ } }, promoted.stderr);

  const failed = await codebuild('deploy', { PINION_RELEASE: '9' });
  t.match(failed, { end: 3, stderr: /RELEASE_MISSING/, exported: {} }, 'a verb that fails fails the build');
});
