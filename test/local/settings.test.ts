import t from 'tap';
import { readLocalSettings } from '../../local/settings.ts';

t.test('ports and folders have defaults, and come from the environment', async (t) => {
  t.match(readLocalSettings([], {}), { mode: 'stay', trafficPort: 8000, healthPort: 8081, cloudPort: 0, appDir: /flask-app$/, folder: /\.pinion$/ });
  const env = { PINION_TRAFFIC_PORT: '1234', PINION_CLOUD_PORT: '65535', PINION_LOCAL_FOLDER: 'kept', INIT_CWD: '/home/of/caller' };
  const given = readLocalSettings(['--once', '--app-dir', '../app'], env);
  t.match(given, { mode: 'once', trafficPort: 1234, cloudPort: 65_535, appDir: '/home/of/app', folder: '/home/of/caller/kept' });
  t.equal(readLocalSettings(['--help'], {}), 'help');
});

t.test('AWS_ENDPOINT_URL names a cloud that runs already; an empty one counts as unset', async (t) => {
  const cloudEndpoint = 'http://127.0.0.1:4566';
  t.match(readLocalSettings([], { AWS_ENDPOINT_URL: cloudEndpoint }), { cloudEndpoint });
  for (const env of [{}, { AWS_ENDPOINT_URL: '' }]) t.match(readLocalSettings([], env), { cloudEndpoint: undefined });
  for (const value of ['127.0.0.1:4566', 'ftp://127.0.0.1', 'http://key:hidden@127.0.0.1', 'http://hidden@127.0.0.1']) {
    const thrown = t.throws(() => readLocalSettings([], { AWS_ENDPOINT_URL: value }), { code: 'SETTING_INVALID', message: /AWS_ENDPOINT_URL/ }, value);
    t.notMatch((thrown as Error).message, /hidden|127/, 'its value is not repeated');
  }
});

t.test('what cannot be is named', async (t) => {
  for (const value of ['0', '65536', 'x', '-1']) {
    t.throws(() => readLocalSettings([], { PINION_TRAFFIC_PORT: value }), { code: 'SETTING_INVALID', message: /PINION_TRAFFIC_PORT/ }, value);
  }
  t.throws(() => readLocalSettings(['--twice'], {}), { code: 'USAGE', message: /--twice/ });
});
