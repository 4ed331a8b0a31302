import t from 'tap';
import { agentProcess, withoutImds } from '../support/agent.ts';
import { buildApp, startCloud } from '../support/cloud.ts';
import { freePort } from '../support/free-port.ts';
import { shortFolder } from '../support/short-folder.ts';

const source = 'from flask import Flask\napp = Flask(__name__)\napp.add_url_rule("/healthz", view_func=lambda: "ok")\n';

t.test('S26, T13: a second agent in the same folders ends with its own status and says which process has them; the first serves on', async (t) => {
  const cloud = await startCloud(t);
  const folder = shortFolder(t);
  const built = await buildApp(folder, { files: { 'shop.py': source }, settings: 'entry-point = "shop:app"\ninclude = ["shop.py"]\n' });
  const userData = await cloud.releaseBuilt(built.appDir);
  const port = await freePort();
  const limits = { PINION_LIMITS: JSON.stringify({ drainSettleMs: 0 }), PINION_PYTHON: built.interpreter };
  const environment = { ...withoutImds(cloud.endpoint), ...limits, PINION_TRAFFIC_PORT: String(port) };
  const first = agentProcess({ folder, userData, environment });
  t.teardown(() => first.stop());
  await first.untilState('ready');
  const second = agentProcess({ folder, userData, environment: { ...environment, PINION_TRAFFIC_PORT: String(await freePort()) } });
  t.equal(await second.exited, 3);
  t.equal(second.console.length, 1);
  t.match(second.console[0], new RegExp(`^pinion: ALREADY_RUNNING: .* is in use by .*\\(pid ${first.pid}\\)`));
  t.same(second.events, [], 'it did nothing');
  t.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  t.match(await first.readyz(), { status: 200 });
  t.equal(first.events.filter(({ event }) => event === 'app-started').length, 1);
});
