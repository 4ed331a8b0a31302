import type { Manifest } from '../../contract/manifest.ts';

/** Names inside the app's and the agent's runtime folder; the unit's ExecStart and the child's arguments are made of the same constants. */
export const gunicornConfigName = 'gunicorn.conf.py';
export const environmentName = 'app.env';

/** gunicorn's command line for the release that `current` names; the same on every host, whatever the release. */
export const gunicornCommand = (stateFolder: string, appFolder: string): readonly [string, ...string[]] => [
  `${stateFolder}/current/bin/python`,
  '-m',
  'gunicorn',
  '--config',
  `${appFolder}/${gunicornConfigName}`,
];

/**
 * gunicorn's configuration file: everything pinion decides about gunicorn, once.
 * Sources: gunicorn's settings reference; keep-alive must outlast the load balancer's idle timeout (AWS: ALB troubleshooting, HTTP 502).
 */
export function gunicornConfig(manifest: Manifest, tree: string, bind: string): string {
  const { workers, threads, timeoutSeconds, gracefulTimeoutSeconds, keepAliveSeconds } = manifest.gunicorn;
  const settings: Record<string, string | number | true> = {
    wsgi_app: manifest.entryPoint,
    bind,
    chdir: `${tree}/app`,
    workers,
    threads,
    worker_class: threads > 1 ? 'gthread' : 'sync',
    timeout: timeoutSeconds,
    graceful_timeout: gracefulTimeoutSeconds,
    keepalive: keepAliveSeconds,
    // A disk stalls the worker's heartbeat file; memory does not (gunicorn FAQ).
    worker_tmp_dir: '/dev/shm',
    // Only the load balancer reaches the traffic port (security group), so its X-Forwarded-Proto is to be believed.
    forwarded_allow_ips: '*',
    control_socket_disable: true,
    errorlog: '-',
    loglevel: 'info',
    proc_name: manifest.app,
  };
  // A JSON string is a Python string literal; only `true` is spelled otherwise.
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value === true ? 'True' : JSON.stringify(value)}`);
  return `${lines.join('\n')}\n`;
}
