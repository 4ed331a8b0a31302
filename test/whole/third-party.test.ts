/** pinion needs nothing of an app: httpbin as PyPI has it, with native wheels, is built, released and booted like any other. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { agentProcess, withoutImds } from '../support/agent.ts';
import { buildCopy, startCloud } from '../support/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';

t.test('an unmodified third-party Flask application serves', async (t) => {
  const cloud = await startCloud(t);
  const folder = shortFolder(t);
  const built = await buildCopy(folder, fileURLToPath(new URL('../fixtures/third-party', import.meta.url)));
  const userData = await cloud.releaseBuilt(built.appDir);
  const port = await freePort();
  const PINION_LIMITS = JSON.stringify({ drainSettleMs: 0 });
  const environment = { ...withoutImds(cloud.endpoint), PINION_PYTHON: built.interpreter, PINION_TRAFFIC_PORT: String(port), PINION_LIMITS };
  const agent = agentProcess({ folder, userData, environment });
  t.teardown(() => agent.stop());
  await agent.untilState('ready');
  const response = await fetch(`http://127.0.0.1:${port}/anything?pinned=yes`, { headers: { 'x-forwarded-proto': 'https' } });
  t.equal(response.status, 200);
  t.match(await response.json(), { args: { pinned: 'yes' }, method: 'GET', url: /^https:/ });
  t.equal(await agent.stop(), 0);
});
