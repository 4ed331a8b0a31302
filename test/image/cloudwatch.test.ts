import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { slug } from '../../contract/names.ts';
import { startImds } from '../../local/imds.ts';
import { run } from '../support/run-files.ts';

const folder = fileURLToPath(new URL('../../packer/files/root/usr/lib/pinion-image', import.meta.url));
const [program, template] = [join(folder, 'cloudwatch-config'), join(folder, 'cloudwatch-agent.json')];

const instance = {
  instance: 'i-1',
  address: '10.0.0.1',
  region: 'eu-west-1',
  roleName: 'r',
  credentials: () => ({ accessKeyId: 'a', secretAccessKey: 's', sessionToken: 't', expiration: new Date() }),
};

/** What the program writes on an instance with this user data, or says. */
async function written(t: Test, userData: string | undefined) {
  const imds = await startImds({ ...instance, userData: userData === undefined ? undefined : Buffer.from(userData) });
  t.teardown(() => imds.stop());
  return { ...(await write(t, imds.endpoint)), requests: imds.requests.map(({ method, path, status }) => `${method} ${path} ${status}`) };
}

async function write(t: Test, endpoint: string) {
  const target = join(t.testdir(), 'amazon-cloudwatch-agent.json');
  const proxies = ['http_proxy=http://127.0.0.1:9', 'HTTP_PROXY=http://127.0.0.1:9'];
  const ended = await run('env', [`AWS_EC2_METADATA_SERVICE_ENDPOINT=${endpoint}`, ...proxies, 'python3', '-IS', program, template, target]);
  return { ...ended, config: existsSync(target) ? JSON.parse(readFileSync(target, 'utf8')) : undefined };
}

t.test('app and agent in one group, the host in another, both of this app and environment; one stream for each instance', async (t) => {
  const { end, config, requests, stderr } = await written(t, '{"schemaVersion":1,"app":"shop","env":"prod-2","release":4}');
  t.equal(end, 0, stderr);
  t.same(requests, ['PUT /latest/api/token 200', 'GET /latest/user-data 200'], 'by a token, and nothing else is asked');
  const [agent, host, ...rest] = config.logs.logs_collected.journald.collect_list;
  t.match(agent, { log_group_name: '/pinion/shop/prod-2/agent', log_stream_name: '{instance_id}', units: ['pinion-agent.service', 'pinion-app.service'] });
  t.match(host, { log_group_name: '/pinion/shop/prod-2/host', log_stream_name: '{instance_id}' });
  t.same(rest, []);
  const [{ type, expression }] = host.filters;
  t.equal(type, 'exclude');
  t.match('{"_PID":"7","_SYSTEMD_UNIT":"pinion-agent.service","MESSAGE":"{}"}', new RegExp(expression), "the agent's lines are in one group only");
  t.notMatch('{"_PID":"7","_SYSTEMD_UNIT":"chrony.service","MESSAGE":"pinion-agent.service"}', new RegExp(expression));
});

t.test('memory and disk of the host, in a namespace of their own, with few dimensions', async (t) => {
  const { config } = await written(t, '{"app":"shop","env":"prod"}');
  t.same(config.metrics, {
    namespace: 'Pinion/Host',
    metrics_collected: {
      mem: { measurement: ['mem_used_percent'], append_dimensions: { App: 'shop', Env: 'prod' } },
      disk: { measurement: ['disk_used_percent'], resources: ['/'], drop_device: true, append_dimensions: { App: 'shop', Env: 'prod' } },
    },
  });
  t.equal(config.agent.omit_hostname, true, 'no dimension that is new with every instance');
});

t.test('it runs as a user of its own and makes no group, so the runtime role needs no more than its own log groups', async (t) => {
  const text = readFileSync(template, 'utf8');
  t.equal(JSON.parse(text).agent.run_as_user, 'cwagent');
  t.notMatch(text, /retention_in_days|log_group_class|role_arn|\$\{aws:/, 'each would ask for a further permission');
  for (const [group] of text.matchAll(/"log_group_name": "[^"]*"/g)) t.match(group, /"\/pinion\/\{app\}\/\{env\}\/(agent|host)"$/);
});

for (const [why, userData] of [
  ['there is none', undefined],
  ['it is a script', '#!/bin/sh\necho "app env"'],
  ['it is a list', '["app","env"]'],
  ['it names no environment', '{"app":"shop"}'],
  ['the app is another path', '{"app":"../other","env":"prod"}'],
  ['the name has a line end', '{"app":"shop\\n","env":"prod"}'],
  ['the app is a number', '{"app":7,"env":"prod"}'],
  ['the name would add to the document', '{"app":"a\\",\\"role_arn\\":\\"x","env":"prod"}'],
] as const) {
  t.test(`no configuration from user data when ${why}`, async (t) => {
    const { end, stderr, config } = await written(t, userData);
    t.equal(end, 1);
    t.match(stderr, /^the CloudWatch agent is not started: the user data names no app and environment \(.+\)\n$/);
    t.equal(config, undefined);
  });
}

t.test('names are spelt as everywhere', async (t) => {
  const [, pattern] = /re\.compile\(r"(.*)"\)/.exec(readFileSync(program, 'utf8')) ?? [];
  t.equal(`^${pattern}$`, slug.pattern);
});

t.test('a metadata service that does not answer yet is asked again', async (t) => {
  const early = createServer((connection) => connection.destroy()).listen(0, '127.0.0.1');
  await once(early, 'listening');
  const { port } = early.address() as AddressInfo;
  const waiting = write(t, `http://127.0.0.1:${port}`);
  await once(early, 'connection');
  early.close();
  await once(early, 'close');
  const imds = await startImds({ ...instance, port, userData: Buffer.from('{"app":"shop","env":"prod"}') });
  t.teardown(() => imds.stop());
  t.match(await waiting, { end: 0 });
});
