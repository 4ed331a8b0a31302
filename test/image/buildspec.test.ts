import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { readBuildspec } from '../support/buildspecs.ts';
import { run } from '../support/run-files.ts';
import { needsTool } from '../support/tool.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const file = join(root, 'pipeline/buildspecs/image.yml');
const text = readFileSync(file, 'utf8');
const spec = readBuildspec('image');
const commands = (phase: string): readonly string[] => spec.phases[phase]?.commands ?? [];

t.test("it is CodeBuild's: version 0.2, bash, a phase that fails ends the build", async (t) => {
  t.match(spec, { version: 0.2, env: { shell: 'bash', 'exported-variables': ['AMI_ID', 'PINION_VERSION'] }, artifacts: { files: ['manifest.json'] } });
  for (const phase of ['install', 'build']) t.equal(spec.phases[phase]?.['on-failure'], 'ABORT');
  t.same(Object.keys(spec.phases), ['install', 'build'], 'nothing runs after a failure');
  for (const command of [...commands('install'), ...commands('build')]) t.type(command, 'string');
});

t.test('it formats, validates and builds the real source, of the package it has just built', async (t) => {
  const steps = commands('build').filter((command) => /^packer |npm run/.test(command) || command.includes('npm run'));
  t.match(steps, [
    /npm run --silent deb/,
    'packer fmt -check packer',
    'packer validate -only=amazon-ebs.trixie packer',
    'packer build -only=amazon-ebs.trixie packer',
  ]);
  const [, plugin] = /version = "([\d.]+)"\n/.exec(readFileSync(join(root, 'packer/versions.pkr.hcl'), 'utf8')) ?? [];
  t.equal(spec.env.variables.AMAZON_PLUGIN_VERSION, plugin);
});

t.test('whatever it downloads is checked before it is unpacked, and nothing else is fetched', async (t) => {
  const install = commands('install');
  const downloads = install.flatMap((command) => [...command.matchAll(/curl -\w*o (\S+)/g)].map(([, name]) => name));
  t.same(downloads, ['packer.zip', 'plugin.zip']);
  const check = install.findIndex((command) => command.includes('sha256sum --check --strict'));
  t.ok(install.findIndex((command) => command.includes('unzip')) > check);
  t.notMatch(text, /packer init|latest|sudo/);
  const folder = t.testdir({ 'packer.zip': 'one', 'plugin.zip': 'two' });
  const sums = execFileSync('sha256sum', ['packer.zip', 'plugin.zip'], { cwd: folder, encoding: 'utf8' }).match(/[0-9a-f]{64}/g) ?? [];
  const checked = (packer = '', plugin = '') =>
    run('bash', ['-c', `set -o pipefail; PACKER_SHA256=${packer} AMAZON_PLUGIN_SHA256=${plugin}; ${install[check]}`], folder);
  t.match(await checked(...sums), { end: 0 });
  t.match(await checked(...sums.toReversed()), { end: 1 });
  t.match(await checked(sums[0]), { end: 1 }, 'a digest that is not given matches nothing');
});

t.test("each variable that the template requires is set here, or named as the project's", async (t) => {
  const variables = readFileSync(join(root, 'packer/variables.pkr.hcl'), 'utf8');
  for (const [, name = '', body = ''] of variables.matchAll(/^variable "(\w+)" \{\n(.*?)^\}/gms)) {
    if (!/^ {2}default\b/m.test(body)) t.match(text, new RegExp(`\\bPKR_VAR_${name}\\b`), name);
  }
});

/** The steps after the bake, with an `aws` that answers the new id from the n-th question on, and a clock that does not wait. */
async function published(t: Test, { answersAfter, manifest }: { answersAfter: number; manifest: object }) {
  const folder = t.testdir({ 'manifest.json': JSON.stringify(manifest), asked: '' });
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const aws = `#!/bin/sh
echo "$@" >>${folder}/asked
if [ "$2" = get-parameter ]; then
  [ "$(grep -c get-parameter ${folder}/asked)" -gt ${answersAfter} ] && echo ami-0new || echo ami-0old
fi`;
  for (const [name, body] of Object.entries({ aws, sleep: '#!/bin/sh' })) {
    writeFileSync(join(bin, name), body);
    chmodSync(join(bin, name), 0o755);
  }
  const after = commands('build').slice(commands('build').findIndex((command) => command.startsWith('packer build')) + 1);
  // As CodeBuild does: one after the other in the same shell, until one fails.
  const script = after.map((command) => `${command}\n[ $? = 0 ] || exit 1`).join('\n');
  const ended = await run(
    'env',
    [
      `PATH=${bin}:${process.env.PATH}`,
      `CODEBUILD_SRC_DIR=${folder}`,
      'IMAGE_PARAMETER=/pinion/image',
      'PINION_VERSION=0.1.0',
      'bash',
      '-o',
      'pipefail',
      '-c',
      script,
    ],
    folder,
  );
  return { ...ended, asked: readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n') };
}

const manifest = { builds: [{ artifact_id: 'eu-west-1:ami-0past' }, { artifact_id: 'eu-west-1:ami-0new' }] };

for (const answersAfter of [0, 7]) {
  t.test(`the id of this bake is written, and read back at question ${answersAfter + 1}`, async (t) => {
    if (!needsTool(t, 'jq', 'apt-get install jq')) return;
    const { end, stdout, stderr, asked } = await published(t, { answersAfter, manifest });
    t.equal(end, 0, stderr);
    t.equal(asked[0], 'ssm put-parameter --name /pinion/image --type String --data-type aws:ec2:image --value ami-0new --overwrite');
    t.equal(stdout, '/pinion/image is ami-0new, pinion 0.1.0\n');
  });
}

t.test('an id that Parameter Store does not accept fails the build, with what to look at', async (t) => {
  if (!needsTool(t, 'jq', 'apt-get install jq')) return;
  const { end, stderr, asked } = await published(t, { answersAfter: 1_000, manifest });
  t.equal(end, 1);
  t.match(stderr, /\/pinion\/image does not hold ami-0new after a minute; aws ssm get-parameter-history/);
  t.ok(asked.length < 40, 'it ends');
});

t.test('a bake without an image writes nothing', async (t) => {
  if (!needsTool(t, 'jq', 'apt-get install jq')) return;
  const { end, asked } = await published(t, { answersAfter: 0, manifest: { builds: [] } });
  t.equal(end, 1);
  t.same(asked, ['']);
});

t.test('its commands are shellcheck clean', async (t) => {
  if (!needsTool(t, 'shellcheck', 'apt-get install shellcheck')) return;
  const script = join(t.testdir(), 'image.sh');
  writeFileSync(script, ['#!/bin/bash', ...commands('install'), ...commands('build')].join('\n'));
  const { stdout, end } = await run('shellcheck', [script]);
  t.equal(end, 0, stdout);
});
