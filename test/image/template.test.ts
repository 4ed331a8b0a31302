import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { run } from '../support/run-files.ts';
import { needsTool } from '../support/tool.ts';

const packer = fileURLToPath(new URL('../../packer', import.meta.url));
const read = (file: string) => readFileSync(join(packer, file), 'utf8');
const needsPacker = (t: Test) => needsTool(t, 'packer', 'apt-get install packer');

const blocks = [...read('variables.pkr.hcl').matchAll(/^variable "(\w+)" \{\n(.*?)^\}/gms)].map(([, name = '', body = '']) => ({ name, body }));
const required = blocks.filter(({ body }) => !/^ {2}default\b/m.test(body)).map(({ name }) => name);

/** What Packer 1.6.6 does not know of the amazon plugin: arguments by their line, blocks whole. */
const modern = ['deprecate_at', 'deregistration_protection', 'imds_support', 'metadata_options'];
const withoutModern = (text: string) =>
  modern.reduce(
    (left, name) => left.replace(new RegExp(`^ {2}${name} +=.*\n`, 'm'), '').replace(new RegExp(`^ {2}${name} \\{\n.*?^ {2}\\}\n`, 'ms'), ''),
    text,
  );

/** The template as the rehearsal stages it, and what `packer validate` says of one of its sources. */
function stage(t: Test) {
  const folder = t.testdir();
  for (const file of globSync('*.hcl', { cwd: packer })) if (file !== 'versions.pkr.hcl') cpSync(join(packer, file), join(folder, file));
  for (const part of ['provision', 'files']) cpSync(join(packer, part), join(folder, part), { recursive: true });
  const [deb, key] = [join(folder, 'pinion-agent_0.1.0_amd64.deb'), join(folder, 'key')];
  writeFileSync(deb, '');
  writeFileSync(key, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const rehearsal = Object.fromEntries([...read('rehearsal.pkrvars.hcl').matchAll(/^(\w+) += "(.*)"$/gm)].map(([, name, value]) => [name, value]));
  const values: Record<string, string> = { ...rehearsal, version: '0.1.0', commit: 'abcdef0', deb, ssh_key: key };
  const validate = async (source: string, changed: Record<string, string | undefined> = {}) => {
    const variables = Object.entries({ ...values, ...changed }).flatMap(([name, value]) => (value === undefined ? [] : ['-var', `${name}=${value}`]));
    const env = ['PACKER_NO_COLOR=1', 'CHECKPOINT_DISABLE=1', `PACKER_CONFIG_DIR=${folder}`];
    const { stdout, stderr, end } = await run('env', [...env, 'packer', 'validate', `-only=${source}`, ...variables, folder]);
    return { end, said: `${stdout}${stderr}`.replace(/\s+/g, ' ') };
  };
  return { folder, validate };
}

t.test('every file is formatted as packer fmt does', async (t) => {
  if (!needsPacker(t)) return;
  const { stdout, stderr, status } = spawnSync('packer', ['fmt', '-check', '-diff', packer], { encoding: 'utf8' });
  t.equal(status, 0, stdout + stderr);
});

t.test('the rehearsal validates, by its variables file and nothing else of Amazon', async (t) => {
  if (!needsPacker(t)) return;
  t.match(await stage(t).validate('null.rehearsal'), { end: 0 });
});

t.test('Packer 1.6.6 knows all of the real source but four arguments, and validates the rest', async (t) => {
  if (!needsPacker(t)) return;
  const { folder, validate } = stage(t);
  const { said } = await validate('amazon-ebs.trixie');
  t.same([...said.matchAll(/named "(\w+)" is not expected|type "(\w+)" are not expected/g)].map(([, argument, block]) => argument ?? block).sort(), modern);
  const file = join(folder, 'amazon.pkr.hcl');
  writeFileSync(file, withoutModern(readFileSync(file, 'utf8')));
  t.match(await validate('amazon-ebs.trixie'), { end: 0 });
});

t.test('a bake that lacks the required variables is refused by the name of each', async (t) => {
  if (!needsPacker(t)) return;
  const { validate } = stage(t);
  const { end, said } = await validate('null.rehearsal', Object.fromEntries(required.map((name) => [name, undefined])));
  t.equal(end, 1);
  t.same([...said.matchAll(/Unset variable "(\w+)"/g)].map(([, name]) => name).sort(), required.toSorted());
  t.same(required, [
    ...['version', 'commit', 'deb', 'cloudwatch_agent_version', 'cloudwatch_agent_sha256', 'ssm_agent_version', 'ssm_agent_sha256'],
    ...['region', 'subnet_id', 'kms_key_id'],
  ]);
});

/** Each is refused with what to do; Packer says all of a round at once. */
const wrong: readonly Readonly<Record<string, readonly [value: string, remedy: RegExp]>>[] = [
  {
    version: ['latest', /package\.json/],
    commit: ['main', /git rev-parse HEAD/],
    deb: ['agent.deb', /npm run deb/],
    cloudwatch_agent_version: ['1.300069.0b1380', /1\.300070\.0/],
    cloudwatch_agent_sha256: ['ABC', /sha256sum amazon-cloudwatch-agent/],
    ssm_agent_version: ['latest', /four numbers/],
    ssm_agent_sha256: ['', /sha256sum amazon-ssm-agent/],
    region: ['here', /eu-west-1/],
    subnet_id: ['vpc-1', /take a private one/],
    kms_key_id: ['alias/aws/ebs', /ARN of a customer key/],
    source_ami_owner: ['amazon', /account number/],
  },
  { cloudwatch_agent_version: ['1.300070.0', /CWAGENT_VERSION/], ssm_agent_version: ['3.3.4624', /four numbers/], commit: ['abc', /7 to 40/] },
  { cloudwatch_agent_version: ['latest', /with its build/] },
];

for (const round of wrong) {
  t.test(`wrong values are refused with what to do: ${Object.keys(round).join(', ')}`, async (t) => {
    if (!needsPacker(t)) return;
    const { end, said } = await stage(t).validate('null.rehearsal', Object.fromEntries(Object.entries(round).map(([name, [value]]) => [name, value])));
    t.equal(end, 1);
    for (const [name, [, remedy]] of Object.entries(round)) t.match(said, remedy, name);
    t.equal([...said.matchAll(/Invalid value for/g)].length, Object.keys(round).length, 'and nothing else');
  });
}

for (const version of ['1.300070.0b1', '1.300100.1b3000']) {
  t.test(`CloudWatch agent ${version} reads the journal`, async (t) => {
    if (!needsPacker(t)) return;
    t.match(await stage(t).validate('null.rehearsal', { cloudwatch_agent_version: version }), { end: 0 });
  });
}

t.test('every variable says what it is, and none of a secret kind exists', async (t) => {
  for (const { name, body } of blocks) t.match(body, /^ {2}type +=.*\n {2}description = ".+\."$/m, name);
  t.notMatch(read('variables.pkr.hcl') + read('amazon.pkr.hcl'), /access_key|secret_key|password|token"|profile/);
});

t.test('the real source: whose image, how it is reached, what guards it', async (t) => {
  const source = read('amazon.pkr.hcl');
  for (const line of [
    /owners += \[var\.source_ami_owner\]/,
    /root-device-name += var\.root_device_name/,
    /device_name += var\.root_device_name/,
    /encrypted += true/,
    /kms_key_id += var\.kms_key_id/,
    /volume_type += "gp3"/,
    /associate_public_ip_address += false/,
    /ssh_interface += "private_ip"/,
    /temporary_security_group_source_cidrs += .*var\.ssh_from_cidrs/,
    /http_tokens += "required"/,
    /http_put_response_hop_limit += 1/,
    /imds_support += "v2\.0"/,
    /ena_support += true/,
    /deprecate_at += /,
    /enabled += true\n +with_cooldown += true/,
    ...['tags', 'snapshot_tags', 'run_tags', 'run_volume_tags'].map((kind) => new RegExp(`\n {2}${kind} += local\\.tags`)),
  ]) {
    t.match(source, line);
  }
  t.match(blocks.find(({ name }) => name === 'source_ami_owner')?.body, /default +="?.*"136693071363"/, "Debian's account");
  t.match(blocks.find(({ name }) => name === 'ssh_from_cidrs')?.body, /default +=(?!.*0\.0\.0\.0\/0)/);
  t.match(read('versions.pkr.hcl'), /version = "\d+\.\d+\.\d+"/, 'one version of the plugin');
});

t.test('the build runs every provision script once, by its number, for both sources', async (t) => {
  const scripts = globSync('provision/*.sh', { cwd: packer }).sort();
  t.same(
    scripts.map((script) => basename(script).slice(0, 2)),
    ['10', '20', '30', '40', '50', '60'],
  );
  const build = read('build.pkr.hcl');
  t.same(
    [...build.matchAll(/\$\{path\.root\}\/(provision\/.*\.sh)/g)].map(([, script]) => script),
    scripts,
  );
  t.match(build, /sources = \["source\.null\.rehearsal", "source\.amazon-ebs\.trixie"\]/);
  t.notMatch(build, /\b(only|except|override)\b/, 'no step is for one of them alone');
});

t.test('provision scripts are shellcheck clean, stop at the first error and say what they are for', async (t) => {
  const scripts = globSync('provision/*.sh', { cwd: packer });
  for (const script of scripts) t.match(read(script), /^#!\/bin\/(sh|bash)\n# .{40,}\.\n(#.*\n)*set -/, script);
  const stopping = scripts.filter((script) => /^set -eu$/m.test(read(script)));
  t.same(
    scripts.filter((script) => !stopping.includes(script)),
    ['provision/60-verify.sh'],
    'the one that goes on collects what is wrong',
  );
  if (!needsTool(t, 'shellcheck', 'apt-get install shellcheck')) return;
  const { stdout, status } = spawnSync('shellcheck', scripts, { cwd: packer, encoding: 'utf8' });
  t.equal(status, 0, stdout);
});
