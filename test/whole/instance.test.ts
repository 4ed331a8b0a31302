/** An instance as EC2 makes it: user data, address, Region and credentials from the metadata service, nothing from the environment. */
import t from 'tap';
import { startImds } from '../../local/imds.ts';
import { agentProcess } from '../support/agent.ts';
import { buildApp, region, startCloud } from '../support/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';

const source = `
import os
from flask import Flask
app = Flask(__name__)
@app.get("/healthz")
def healthz():
    return {name: value for name, value in os.environ.items() if name.startswith(("AWS", "PINION"))}
`;

t.test('boots from the metadata service alone, on its own address, and asks only by IMDSv2', async (t) => {
  const cloud = await startCloud(t);
  const folder = shortFolder(t);
  const built = await buildApp(folder, { files: { 'shop.py': source }, settings: 'entry-point = "shop:app"\ninclude = ["shop.py"]\n' });
  const userData = await cloud.releaseBuilt(built.appDir);
  const address = '127.0.7.1';
  const imds = await startImds({
    instance: 'i-0123456789abcdef0',
    address,
    region,
    roleName: 'pinion-runtime',
    credentials: () => ({ accessKeyId: 'test', secretAccessKey: 'test', sessionToken: 'token', expiration: new Date(Date.now() + 3_600_000) }),
    userData: Buffer.from(JSON.stringify(userData)),
  });
  t.teardown(() => imds.stop());
  const port = await freePort(address);
  const agent = agentProcess({
    folder,
    environment: {
      AWS_ENDPOINT_URL: cloud.endpoint,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
      PINION_BIND: address,
      PINION_PYTHON: built.interpreter,
      PINION_TRAFFIC_PORT: String(port),
      PINION_LIMITS: JSON.stringify({ drainSettleMs: 0 }),
    },
  });
  t.teardown(() => agent.stop());
  await agent.untilState('ready');
  const response = await fetch(`http://${address}:${port}/healthz`);
  const own = { PINION_RELEASE: '1', PINION_COMMIT: 'unknown', PINION_ENV: 'test', PINION_INSTANCE: 'i-0123456789abcdef0' };
  t.same(await response.json(), { ...own, AWS_EC2_METADATA_DISABLED: 'true' }, 'and the app gets nothing of AWS');
  t.ok(
    imds.requests.every(({ path, status }) => status === (/\/(spot|events)\//.test(path) ? 404 : 200)),
    'no request without a token, none refused',
  );
  t.equal(await agent.stop(), 0);
});
