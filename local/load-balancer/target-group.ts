/** The states of DescribeTargetHealth that a target of this balancer has (ELBv2 API Reference, TargetHealth). */
export type TargetState = 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused';
export type TargetHealth = { readonly id: string; readonly port: number; readonly state: TargetState; readonly reason?: string; readonly description?: string };

/** A target group as an Auto Scaling group uses it. */
export type TargetGroup = {
  readonly arn: string;
  /** Registers an instance that listens on `address`; it gets traffic when it is healthy. */
  register(id: string, address: string): Promise<void>;
  /** Sends it nothing new from now on. Resolves when its requests have ended or the deregistration delay is over; it is then no target any more. */
  deregister(id: string): Promise<void>;
  /** Of every target, from the balancer's real state. */
  health(): Promise<readonly TargetHealth[]>;
};
