/** The states of DescribeTargetHealth that a target of this balancer has (ELBv2 API Reference, TargetHealth). */
export type TargetState = 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused';
export type TargetHealth = { readonly id: string; readonly port: number; readonly state: TargetState; readonly reason?: string; readonly description?: string };

/** A target group as an Auto Scaling group uses it. */
export type TargetGroup = {
  readonly arn: string;
  /** Registers an instance that listens on `address`; it gets traffic when it is healthy. One that is registered stays as it is; one that drains is registered anew. */
  register(id: string, address: string): Promise<void>;
  /** Sends it nothing new from now on. Resolves when its requests have ended or the deregistration delay is over; no connection to it is left then. */
  deregister(id: string): Promise<void>;
  /** Of every target, from the balancer's real state. What is deregistered stays in it as `draining` until the deregistration delay is over, as at ELB. */
  health(): Promise<readonly TargetHealth[]>;
};

/** What a target group and its load balancer are set to; in milliseconds where AWS counts seconds, so that a rehearsal can scale them. */
export type TargetGroupSettings = {
  readonly name: string;
  /** Where targets take traffic. */
  readonly port: number;
  readonly healthCheck: {
    readonly port: number;
    readonly path: string;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** Successes in a row of an unhealthy target, 2 to 10; a new target needs one. */
    readonly healthyThreshold: number;
    /** Failures in a row, 2 to 10. */
    readonly unhealthyThreshold: number;
  };
  readonly deregistrationDelayMs: number;
  /** Of connections to clients and to targets, and how long a target may be silent. */
  readonly idleTimeoutMs: number;
};
