import type { TargetGroupSettings } from './target-group.ts';

/** Targets that can be registered at once, the draining ones among them. */
export const slotCount = 64;
/** Servers of HAProxy that are one target: `slot` is checked and gets the traffic; `open`, a backup without checks, gets it while no slot is healthy. */
export const slotNames = (slot: number): readonly [slot: string, open: string] => [`targets/slot${slot}`, `targets/open${slot}`];

/** An ALB waits this long for a connection (Application Load Balancers guide, "HTTP 504"). */
const connectTimeoutMs = 10_000;

type Files = {
  /** The unix socket of the Runtime API. */
  readonly socket: string;
  /** Holds `unreachable`. */
  readonly unreachable: string;
};

/** HAProxy's whole answer where no connection to a target came about: its own would be 503. */
export const unreachable = 'HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n';

/** HAProxy's configuration: an ALB with one target group, all of whose slots are empty. It listens on the descriptor 3 that it inherits. */
export function configuration({ port, healthCheck, idleTimeoutMs }: TargetGroupSettings, files: Files): string {
  const { path, intervalMs, timeoutMs, healthyThreshold, unhealthyThreshold } = healthCheck;
  const reuse = `pool-purge-delay ${idleTimeoutMs}ms`;
  return `global
  stats socket ${files.socket} mode 600 level admin
  # One thread has one pool of idle connections, and its round robin is one.
  nbthread 1
  maxconn 1000
  log stdout format raw local0
defaults
  mode http
  log global
  timeout connect ${connectTimeoutMs}ms
  timeout client ${idleTimeoutMs}ms
  timeout server ${idleTimeoutMs}ms
  timeout check ${timeoutMs}ms
  retries 0
frontend load-balancer
  bind fd@3
  log-format "%Ts.%ms %si %ST %ts %Ta %{+Q}r"
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request return status 503 if { nbsrv(targets) eq 0 }
  default_backend targets
backend targets
  balance roundrobin
  http-reuse always
  option allbackups
  errorfile 503 ${files.unreachable}
  option httpchk
  http-check send meth GET uri ${path} ver HTTP/1.1 hdr Host %[bc_dst]:%[bc_dst_port] hdr User-Agent ELB-HealthChecker/2.0
  http-check expect status 200
  server-template slot 1-${slotCount} 127.0.0.1:${port} check port ${healthCheck.port} inter ${intervalMs}ms rise ${healthyThreshold} fall ${unhealthyThreshold} ${reuse} disabled
  server-template open 1-${slotCount} 127.0.0.1:${port} backup ${reuse} disabled
`;
}
