import t from 'tap';
import { firstProblem } from '../../contract/document.ts';
import { configName } from '../../contract/names.ts';

t.test('a config name is an environment variable that takes gunicorn neither from its listener nor from its supervisor', async (t) => {
  for (const name of ['A', 'DATABASE_URL', 'GUNICORN_CMD_ARGS_2', 'WEB_CONCURRENCY', 'NOTIFY_SOCKETS'])
    t.equal(firstProblem(configName, name), undefined, name);
  for (const name of ['', 'a', '1A', 'A-B', 'PINION_RELEASE', 'GUNICORN_CMD_ARGS', 'LISTEN_FDS', 'LISTEN_PID', 'NOTIFY_SOCKET', 'A'.repeat(129)]) {
    t.ok(firstProblem(configName, name), name);
  }
});
