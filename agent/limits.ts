import { Failure } from '../contract/causes.ts';

/** Every time, size and count that bounds the agent, with what it bounds. Tests scale them; on a host these values and the user data's `times` hold. */
export const limitRows = {
  bootBudgetMs: [300_000, 'the whole boot, until the user data names its own budget'],
  bootMarginMs: [5_000, 'what a boot process that hangs as a whole has beyond its budget'],
  imdsTimeoutMs: [1_000, 'one request to the metadata service'],
  imdsTokenSeconds: [21_600, 'what a token of the metadata service is asked to last'],
  connectTimeoutMs: [2_000, 'connecting to an AWS service'],
  requestTimeoutMs: [10_000, 'one request to an AWS service'],
  retryBaseMs: [200, 'the first wait of a boot; full jitter: uniform in [0, min(cap, base × 2^attempt))'],
  retryCapMs: [20_000, 'the longest wait of a boot'],
  stallWindowMs: [5_000, 'a body that is slower than the floor for so long is cut and resumed by range'],
  stallFloorBytesPerSecond: [50_000, 'the slowest a body may be'],
  downloadConnections: [12, 'connections that one download may use up'],
  startMs: [120_000, 'from the start of gunicorn to ready; then it is ended and started again'],
  probeTimeoutMs: [2_000, 'one probe of the app'],
  probeIntervalMs: [2_000, 'from probe to probe'],
  probeStartingIntervalMs: [10, 'the same while the app starts and has not answered yet, so that ready follows the first answer closely'],
  probeRise: [2, 'good probes in a row that make it ready'],
  probeFall: [3, 'bad probes in a row that make it unready'],
  probeStaleIntervals: [3, 'a probe older than so many intervals proves nothing'],
  hungMs: [60_000, 'an unready app that answers no probe well for so long is restarted: far longer than readiness takes, so that a busy one is left alone'],
  restartBaseMs: [500, 'the first wait before gunicorn is started again, after a start at once that did not last either; full jitter as above'],
  restartCapMs: [30_000, 'the longest such wait'],
  crashLoopCount: [10, 'times that gunicorn may end by itself within the window; then it is failed'],
  crashLoopWindowMs: [900_000, 'that window'],
  stableMs: [120_000, 'ready for so long, earlier crashes and waits are forgotten'],
  killMarginMs: [5_000, "added to the app's graceful timeout before SIGKILL"],
  drainSettleMs: [60_000, 'a drain goes on serving for three health check intervals, so that the balancer has noticed; at most this long'],
  connectionsEveryMs: [250, 'how often a drain looks whether connections are left'],
  noticeIntervalMs: [5_000, 'how often the metadata service is asked whether this instance is to end (EC2: every 5 s)'],
  hookRetryBaseMs: [500, 'the first wait before a lifecycle hook is answered again; full jitter as above'],
  hookRetryCapMs: [10_000, 'the longest such wait'],
  roleSessionMs: [3_600_000, 'what a session of the app role is asked to last: the most where a role assumes another (STS: AssumeRole, role chaining)'],
  roleRenewMs: [1_200_000, 'credentials of the app with less left are renewed when they are asked for: boto3 asks all the time from 15 min before the end'],
  roleAnswerMs: [900, 'what a request for credentials waits for STS: SDKs give up after 1 s (JavaScript) or 2 s (boto3), and ask again'],
  roleRetryBaseMs: [500, 'the first wait before STS is asked again; full jitter as above'],
  roleRetryCapMs: [60_000, 'the longest such wait'],
  metricsPeriodMs: [60_000, 'one request to CloudWatch in this time'],
  metricsKeptMinutes: [15, 'periods that are kept while CloudWatch takes none'],
  heartbeatMs: [5_000, 'at most this between two signs of life to systemd'],
  lastWordsMs: [2_000, 'at the end: metrics, log and systemd each get this long'],
} as const satisfies Readonly<Record<string, readonly [value: number, says: string]>>;

/** Node's timers take up to 2^31 - 1 ms and fire a longer one at once; what is added to a limit stays below that too. */
const longest = 1_000_000_000;

export type Limits = { readonly [Name in keyof typeof limitRows]: number };
export const defaultLimits = Object.fromEntries(Object.entries(limitRows).map(([name, [value]]) => [name, value])) as Limits;

/** Limits with those of a JSON object in `text` laid over them; throws SETTING_INVALID. */
export function readLimits(text: string): Limits {
  const invalid = (problem: string) => new Failure('SETTING_INVALID', { setting: 'PINION_LIMITS', problem });
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw invalid('not JSON');
  }
  if (typeof given !== 'object' || given === null) throw invalid('not an object');
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaultLimits, name)) throw invalid(`${name} is not a limit`);
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > longest) throw invalid(`${name} is not a whole number up to ${longest}`);
  }
  return { ...defaultLimits, ...given };
}
