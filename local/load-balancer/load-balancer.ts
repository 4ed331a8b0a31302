import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { withDeathSignal } from '../../agent/app/process-group.ts';
import type { Service } from '../wire/query.ts';
import { configuration, unreachable } from './configuration.ts';
import { createService } from './describe-actions.ts';
import { ask } from './runtime.ts';
import type { TargetGroup, TargetGroupSettings } from './target-group.ts';
import { createTargetGroup } from './targets.ts';

export type LoadBalancerOptions = {
  readonly settings: TargetGroupSettings;
  /** For the configuration, the socket (whose path must leave room: 108 bytes, unix(7)) and the logs; made if it is not there. */
  readonly folder: string;
  readonly region: string;
  /** Told by DescribeLoadBalancers; nothing here enforces them. */
  readonly securityGroups?: readonly string[];
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
};

export type LoadBalancer = {
  readonly url: string;
  readonly pid: number;
  readonly targetGroup: TargetGroup;
  readonly loadBalancerArn: string;
  /** ELBv2's actions, for the gateway under `elasticloadbalancing`. */
  readonly service: Service;
  /** A file; one line a request beside HAProxy's own: Unix time, address of the target or `-`, status, termination code (`--` is a good end), ms, request line. */
  readonly accessLog: string;
  /** Resolves when HAProxy has ended, asked or not. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
};

/**
 * Starts HAProxy as an Application Load Balancer with one empty target group (load-balancer.md). It ends with `stop()`, with `signal`, and with
 * the calling process, however that ends. Throws an Error with what `haproxyProblem` says, or with what HAProxy said when it did not start.
 */
export async function startLoadBalancer(
  { settings, folder, region, securityGroups, host = '127.0.0.1', port = 0 }: LoadBalancerOptions,
  signal?: AbortSignal,
): Promise<LoadBalancer> {
  const program = findHaproxy();
  if (program === undefined) throw new Error(missing);
  signal?.throwIfAborted();
  mkdirSync(folder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const files = { socket: file('haproxy.sock'), unreachable: file('unreachable.http') };
  writeFileSync(files.unreachable, unreachable);
  writeFileSync(file('haproxy.cfg'), configuration(settings, files));
  const [accessLog, messages] = [file('access.log'), file('haproxy.log')];

  const listener = createServer().listen(port, host);
  await once(listener, 'listening');
  const { port: taken } = listener.address() as AddressInfo;
  const child = spawnWith(listener, withDeathSignal([program, '-db', '-f', file('haproxy.cfg')]), [accessLog, messages]);
  // In the turn of `listening`: nothing was accepted here.
  listener.close();

  const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  const end = new AbortController();
  const stop = async () => {
    end.abort();
    child.kill('SIGTERM');
    await ended;
  };
  ended.then(() => end.abort());
  signal?.addEventListener('abort', () => void stop(), { once: true });
  await waitUntilItAnswers(files.socket, end.signal).catch(() => {
    signal?.throwIfAborted();
    throw new Error(`HAProxy did not start: ${readFileSync(messages, 'utf8')}`);
  });

  const arn = (resource: string) => `arn:aws:elasticloadbalancing:${region}:123456789012:${resource}/${settings.name}/0123456789abcdef`;
  const targetGroup = createTargetGroup(arn('targetgroup'), settings, files.socket, end.signal);
  const loadBalancerArn = arn('loadbalancer/app');
  const service = createService({ settings, group: targetGroup, loadBalancerArn, host, ...(securityGroups !== undefined && { securityGroups }) });
  return { url: `http://${host}:${taken}`, pid: child.pid ?? 0, targetGroup, loadBalancerArn, service, accessLog, ended, stop };
}

/** Why no load balancer can be started here, with what to do about it. */
export const haproxyProblem = (): string | undefined => (findHaproxy() === undefined ? missing : undefined);

const missing = 'haproxy is missing: apt-get install haproxy';

function findHaproxy(): string | undefined {
  // Debian keeps it where only root's PATH leads.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .map((folder) => join(folder, 'haproxy'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function spawnWith(listener: Server, [program, ...args]: readonly [string, ...string[]], logs: readonly string[]): ChildProcess {
  const written = logs.map((path) => openSync(path, 'w'));
  // A port that is chosen now and bound later can be lost between. Node names the descriptor nowhere else.
  const { fd } = (listener as unknown as { readonly _handle: { readonly fd: number } })._handle;
  // A group of its own: Ctrl-C in a terminal must not end it before those who use it. Nothing of the caller's environment.
  const child = spawn(program, args, { stdio: ['ignore', ...written, fd], detached: true, env: {} });
  for (const descriptor of written) closeSync(descriptor);
  return child;
}

async function waitUntilItAnswers(socketPath: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const isThere = await ask(socketPath, ['show version']).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await wait(10, undefined, { signal });
  }
}
