import { defaultLimits } from '../agent/limits.ts';
import { transitions } from './transitions.ts';

/** The text of `docs/agent.md`: the prose below, with the transitions of `agent/machine.ts` as they are. */
export const agentPage = (): string => `${[intro, states, endpoints, situations, drain, group, service, exits, table()].join('\n\n')}\n`;

const seconds = (ms: number): string => `${ms / 1000} s`;
const { probeIntervalMs, probeFall, probeRise, hungMs, startMs, crashLoopCount, crashLoopWindowMs, stableMs, restartBaseMs, restartCapMs } = defaultLimits;
const { probeStaleIntervals, killMarginMs, noticeIntervalMs, hookRetryCapMs } = defaultLimits;

const intro = `# The agent

<!-- Generated from docs/agent-page.ts and agent/machine.ts by \`npm run docs\`: do not edit. -->

One agent is one life of an instance: it boots the release that the user data names, starts gunicorn, says whether this host can serve, starts gunicorn again when it must, and
drains. Whatever goes wrong has one [cause](causes.md), in the same words on the health port, in the log, in the status and on the console.

    pinion-agent status          # what is, why, and what went wrong before
    pinion-agent status --json   # the same for tools; the fields are those of contract/status.ts`;

const states = `## States

\`\`\`
           release on disk, config written            two good probes
 booting ───────────────────────────────▶ starting ─────────────────────▶ ready
    │                                       ▲   ▲                         │   ▲
    │                                       │   └── gunicorn ended ───────┤   │ two good
    │                              gunicorn ended,               three bad│   │ probes
    │ a permanent cause,           or unready too long             probes ▼   │
    │ or the budget is over                 └───────────────────────── unready
    ▼
 failed ◀── gunicorn ended for good, or too often                 stop
 (answers why)                                    booting, failed ──────▶ stopped
                                                  the others ──▶ draining ──▶ stopped
\`\`\`

| state | what it means | \`/readyz\` |
|---|---|---|
| \`booting\` | identity, record, artifact and config are fetched and verified; \`phase\` says where it is | 503 |
| \`starting\` | gunicorn is being started, or waits to be started again | 503 |
| \`ready\` | the app answered through its own listener, the last ${probeRise} times or more | 200 |
| \`unready\` | gunicorn runs, and the app did not answer ${probeFall} times in a row | 503 |
| \`failed\` | nothing that this host can do would help: it stays, and goes on saying why | 503 |
| \`draining\` | it was told to stop, or its group or Spot ends the instance; the app still serves what comes | 503 |
| \`stopped\` | gunicorn has ended. After a stop the agent ends too; on an instance that is being ended it stays, until it is told to stop or the power goes | 503 |`;

const endpoints = `## What it answers

| where | what it says |
|---|---|
| \`GET /readyz\` on the health port | whether *this host* should get traffic: 200 or 503, and state, release, commit, cause. Answered from memory, so it answers while the app is busy. The balancer asks here. |
| \`GET /livez\` on the health port | 200 while the agent runs. Not for balancers: it says nothing of the app. |
| \`GET /status\` on the socket \`agent.sock\` in the runtime folder | everything: phases with their milliseconds, config names with versions, gunicorn and its workers, the last probes, the last causes with their times. Never a value of config. |

Readiness is a real request: \`GET\` of the health path through the traffic listener, to the host's own address, on a fresh connection, with \`Host\` and forwarded headers as they come from
the balancer. Every ${seconds(probeIntervalMs)}; ${probeRise} good ones in a row make it ready, ${probeFall} bad ones unready, the end of gunicorn at once. A result older than ${probeStaleIntervals} intervals proves nothing, nor does a good one older than a fall takes: then \`/readyz\` is 503 with
\`PROBE_STALE\` although the state is \`ready\`.`;

const situations = `## What it does when …

| what happens | what the agent does |
|---|---|
| a worker of gunicorn dies, or is killed for its timeout | nothing, gunicorn replaces it; the status counts it and keeps \`APP_WORKER_REPLACED\` with what gunicorn said |
| gunicorn itself ends | not ready at once (\`APP_EXITED\`); what is left of its process group is ended; started again at once, and if that does not last, after a random wait of up to ${seconds(restartBaseMs)}, doubling to ${seconds(restartCapMs)} |
| it ends ${crashLoopCount} times within ${crashLoopWindowMs / 60_000} min | \`APP_CRASH_LOOP\`, \`failed\`. Ready for ${stableMs / 60_000} min, earlier ends are forgotten |
| it ends because there is no app object, or refuses a setting | \`failed\` at once: another start would end the same way |
| the app answers nothing, or not with 200 | \`unready\` after ${probeFall} probes (\`APP_UNHEALTHY\`). Still so after ${seconds(hungMs)}: gunicorn is ended and started again |
| the app is busy, and answers late | unready while it does not answer in time; it is left alone for those ${seconds(hungMs)} |
| it does not become ready within ${seconds(startMs)} | \`APP_START_TIMEOUT\`; gunicorn is ended, killed after ${seconds(killMarginMs)}, and started again |
| another process has the traffic port | \`PORT_IN_USE\` with its name; it is left alone, and asked again and again |
| the host has no room for a process or a file | \`APP_SPAWN_FAILED\`; tried again without end |
| the log takes nothing: a full disk, a pipe that nobody reads | lines are dropped and counted; nothing waits for them |
| the role of the app cannot be assumed | \`APP_ROLE_DENIED\` or \`APP_ROLE_UNAVAILABLE\` in status and log, and in the error of the app's own SDK. Asked again when the app asks, after random waits; readiness depends on it no more than the app does |
| CloudWatch takes nothing | [metrics](metrics.md) are kept for a while, then dropped and counted |
| the boot process dies, or hangs beyond its budget | \`BOOT_CRASHED\`, \`BOOT_TIMEOUT\` |
| the agent is killed on a host | nothing to the app; the next agent, half a second later, adopts it (\`app-adopted\`) and is ready without asking anybody |
| the agent is killed on a laptop | the app ends with it, and the next agent ends what is left |
| the group ends the instance, or Spot does | it drains, answers the hook, and stays: see [Auto Scaling](#auto-scaling) |
| the metadata service does not answer | \`notices-failed\` in the log, once; serving goes on, and it is asked again every ${seconds(noticeIntervalMs)} |
| the kernel ends processes of the app for want of memory | counted (\`OomKills\`); gunicorn replaces them. Ten times before it ever answered: \`APP_OUT_OF_MEMORY\`, \`failed\` |

A shared dependency that is down, a database for instance, should not make the health path fail: every host would be unready at once, and each would be restarted every minute for nothing.`;

const drain = `## Drain

SIGTERM or SIGINT, in this order:

1. Not ready. gunicorn goes on serving everything that comes.
2. After three health check intervals (of the user data's \`times\`) the balancer sends nothing new. From then on the agent waits until no connection to the traffic port is left, at most until
   the deregistration delay is over.
3. SIGTERM to gunicorn, which ends what it serves within its graceful timeout; ${seconds(killMarginMs)} after that, SIGKILL to its whole process group (\`app-exited\` with \`wasKilled\`).
4. Metrics and log are written out, and the agent ends.

A second signal goes straight to 3, a third to SIGKILL. Nothing is started once a drain has begun. In \`booting\` the boot is broken off and leaves nothing half done.`;

const group = `## Auto Scaling

On an instance (without \`--user-data\`) the agent answers the two lifecycle hooks that the user data names, and asks the metadata service every ${seconds(noticeIntervalMs)} whether the instance is to end.

| what happens | what the agent does |
|---|---|
| the first \`ready\` | CompleteLifecycleAction of the launch hook with \`CONTINUE\`, once for an instance, however often agent or host start again. After it no \`ABANDON\` |
| \`failed\` before that | the same with \`ABANDON\`, at once, and it goes on saying why: \`UNPINNED\` for user data without a release, for instance |
| the user data cannot be read, or names no hook | nothing can be said to the group: the hook's own default result, \`ABANDON\`, ends the instance when its heartbeat timeout is over |
| the start takes long | RecordLifecycleActionHeartbeat at a third of the hook's heartbeat timeout, if a phase of the boot has ended since the last one, and not after boot budget and start limit. A start that hangs, or crashes again and again, is no progress: the hook's default result ends it |
| \`target-lifecycle-state\` is \`Terminated\` | it drains as above, and serves until the balancer has let go. Then \`CONTINUE\` for the terminate hook, once; heartbeats at a third of its timeout while it drains |
| a Spot interruption notice | the same drain; in \`booting\` and \`starting\` what is under way is broken off, nothing is tried again, and the launch hook gets \`ABANDON\`. The terminate hook is answered when the group has noticed (\`Terminated\`) |
| a rebalance recommendation | \`notice\` in the log, and serving goes on: it says only that an interruption is likelier. A group with Capacity Rebalancing has the replacement healthy first, and then ends this instance by \`Terminated\`; in any other a drain would take capacity away that nothing replaces |
| Auto Scaling says that no lifecycle action is active | not *yet*: \`ready\` may come before \`Pending:Wait\`, the end of the app before \`Terminating:Wait\`. Asked again after random waits of up to ${seconds(hookRetryCapMs)}, until the hook's heartbeat timeout is over (terminate: and the deregistration delay); then \`lifecycle-action-given-up\` in the log, and no cause |
| Auto Scaling throttles, denies, or does not answer | the same, with \`LIFECYCLE_ACTION_UNAVAILABLE\` in the log or \`LIFECYCLE_ACTION_DENIED\` also on the console; serving goes on |

When all is done the agent stays in \`stopped\` and answers 503: on a host a health check would start it, and with it the app, again. SIGTERM ends it; so it does as a process of its own. Notices never hurry a
drain; SIGTERM during one that a notice began ends the app at once, as a second signal does, and leaves the hook to its timeout.`;

const service = `## Under systemd

With \`NOTIFY_SOCKET\` set it tells \`READY=1\` when its health port answers (not when the app is ready: that is the balancer's business), \`STATUS=\` with state and phase, \`WATCHDOG=1\` after a request to
its own health port went through its whole loop, \`STOPPING=1\` unless the group ends the instance, as it stays then, and \`EXTEND_TIMEOUT_USEC=\` while it drains. Without it, none of this happens. gunicorn never sees the socket.

On a host gunicorn runs as a unit of its own, and the health port is systemd's: [systemd](systemd.md) has the units and how to look inside.`;

const exits = `## Exit status

| status | of \`run\` | of \`status\` |
|---|---|---|
| 0 | drained and ended | ready |
| 1 | could not start; one line on stderr says why | no agent answers; one line on stderr says why |
| 2 | usage | usage |
| 3 | another agent has its folders | |
| 4 | | not ready |`;

const table = (): string =>
  [
    `## Every transition

\`agent/machine.ts\` decides, and does nothing else: from a life and an event follow the next life and what is to be done. This table was made by trying every event in every state that can be
reached; what is not in it changes nothing.

| state | event | next state | effects |
|---|---|---|---|`,
    ...transitions().map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
