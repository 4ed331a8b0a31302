import { readdirSync } from 'node:fs';
import t from 'tap';
import { startCloud } from '../support/cloud.ts';
import { released, secret } from '../support/launched.ts';
import { ended, spawnCli } from '../support/pipeline-cli.ts';
import { awsEnvironment } from '../support/pipeline-cloud.ts';

const cloud = await startCloud(t);
const { appDir, userData } = await released(t, cloud);
const leftovers = () => readdirSync('/dev/shm').filter((name) => name.startsWith('pinion-run-'));
const pinion = (...args: readonly string[]) => {
  const child = spawnCli(['--app-dir', appDir, '--env', 'test', 'run', ...args], { ...awsEnvironment(cloud.endpoint), OWN: 'of the caller' });
  child.stdin.end();
  return { child, ended: ended(child) };
};
const before = leftovers();

t.test('one command runs in the release, with its Python, its code, its pinned config, and nothing of the caller', async (t) => {
  const script =
    'import json, os, shop, flask; print(json.dumps([os.environ["SECRET"], os.environ["PINION_RELEASE"], os.environ.get("OWN"), os.getcwd().endswith("/app")]))';
  const { exit, stdout, stderr } = await pinion('--', 'python', '-c', script).ended;
  t.equal(exit, 0, stderr);
  t.same(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), [secret, String(userData.release), null, true]);
});

t.test("the exit code is the command's; 125 where the release cannot be booted, with its cause", async (t) => {
  t.equal((await pinion('--', 'python', '-c', 'raise SystemExit(7)').ended).exit, 7);
  t.match(await pinion('--', 'no-such-program').ended, { exit: 1, stderr: /USAGE: no-such-program cannot be run in the release: ENOENT/ });
  t.match(await pinion('--release', '9', '--', 'true').ended, { exit: 3, stderr: /RELEASE_MISSING/ });
});

t.test('Ctrl-C ends the command', async (t) => {
  const { child, ended: end } = pinion('--', 'python', '-c', 'import time; print("begun", flush=True); time.sleep(60)');
  child.stdout.on('data', (text) => {
    if (String(text).includes('begun')) child.kill('SIGINT');
  });
  t.not((await end).exit, 0);
});

t.test('no config stays behind', async (t) => t.same(leftovers(), before));
