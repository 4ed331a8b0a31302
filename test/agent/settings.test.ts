import t from 'tap';
import { defaultLimits } from '../../agent/limits.ts';
import { readSettings } from '../../agent/settings.ts';

t.test('a host needs to set nothing', async (t) => {
  t.match(readSettings({}), {
    stateFolder: '/var/lib/pinion',
    runtimeFolder: '/run/pinion',
    bind: '0.0.0.0',
    trafficPort: 8000,
    healthPort: 8081,
    interpreter: undefined,
    limits: defaultLimits,
  });
});

t.test('limits are laid over the defaults', async (t) => {
  const { limits } = readSettings({ PINION_LIMITS: '{"probeRise": 5}' });
  t.same(limits, { ...defaultLimits, probeRise: 5 });
});

t.test('what is not valid is named, with the variable', async (t) => {
  for (const env of [{ PINION_TRAFFIC_PORT: 'http' }, { PINION_TRAFFIC_PORT: '0' }, { PINION_HEALTH_PORT: '70000' }]) {
    t.throws(() => readSettings(env), { code: 'SETTING_INVALID', message: new RegExp(Object.keys(env)[0] ?? '') });
  }
  for (const text of ['{', '[1]', 'null', '{"probeRize": 1}', '{"probeRise": -1}', '{"probeRise": "2"}', '{"startMs": 2000000000}', '{"toString": 1}']) {
    t.throws(() => readSettings({ PINION_LIMITS: text }), { code: 'SETTING_INVALID' }, text);
  }
});

t.test('folders are absolute whatever they were given as, and two; the address is one of IPv4', async (t) => {
  t.match(readSettings({ STATE_DIRECTORY: 'state', RUNTIME_DIRECTORY: 'run' }), { stateFolder: /^\/.*\/state$/, runtimeFolder: /^\/.*\/run$/ });
  for (const env of [{ STATE_DIRECTORY: 'x/../x', RUNTIME_DIRECTORY: 'x' }, { PINION_BIND: 'localhost' }, { PINION_BIND: '' }, { PINION_BIND: '::1' }]) {
    t.throws(() => readSettings(env), { code: 'SETTING_INVALID' }, JSON.stringify(env));
  }
});
