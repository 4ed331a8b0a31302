import { execFileSync } from 'node:child_process';
import t from 'tap';
import { gunicornConfig } from '../../../agent/app/gunicorn.ts';
import type { Manifest } from '../../../contract/manifest.ts';

const manifest: Manifest = {
  schemaVersion: 1,
  app: 'shop',
  entryPoint: 'shop.web:create_app(name="ü \\"x\\"")',
  python: '3.13',
  platform: 'linux_x86_64',
  gunicorn: { workers: 3, threads: 4, timeoutSeconds: 30, gracefulTimeoutSeconds: 20, keepAliveSeconds: 75 },
  healthPath: '/healthz',
  config: [],
};

/** The settings as Python reads them. */
const readByPython = (text: string) => {
  const program = 'import json, sys; names = {}; exec(sys.stdin.read(), {}, names); print(json.dumps(names))';
  return JSON.parse(execFileSync('python3', ['-c', program], { input: text, encoding: 'utf8' }));
};

t.test('Python reads every setting as it was meant', async (t) => {
  t.match(readByPython(gunicornConfig(manifest, '/var/lib/pinion/current', '0.0.0.0:8000')), {
    wsgi_app: manifest.entryPoint,
    bind: '0.0.0.0:8000',
    chdir: '/var/lib/pinion/current/app',
    workers: 3,
    threads: 4,
    worker_class: 'gthread',
    timeout: 30,
    graceful_timeout: 20,
    keepalive: 75,
    control_socket_disable: true,
  });
});

t.test('one thread means sync workers', async (t) => {
  const single = { ...manifest, gunicorn: { ...manifest.gunicorn, threads: 1 } };
  t.equal(readByPython(gunicornConfig(single, '/t', '127.0.0.1:1')).worker_class, 'sync');
});
