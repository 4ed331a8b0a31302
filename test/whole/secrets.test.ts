/** Values of config, said in every form by an app that should know better: nothing that leaves the host holds one. */
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { statusText } from '../../agent/reporting/show-status.ts';
import { withoutImds } from '../support/agent.ts';
import { type Cloud, startCloud } from '../support/cloud.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { get, launch, limited, released, secret, statusOf } from '../support/launched.ts';

/** Spaces, slashes and signs, so that every form differs from the others. */
const token = 'hunter2/of some+length=';
const config = { TOKEN: token };
/** Six bytes within base64 of the value behind 0, 1 and 2 others. */
const base64Of = (value: string) => ['', '_', '__'].map((before) => Buffer.from(`${before}${value}`).toString('base64').slice(4, 12));
const needles = [
  /hunter2/,
  /of(?: |%20|\+)some(?:\+|%2B)len/,
  /ss(?:\\|%5C)+wo/i,
  /every(?:`|%60|\\x60)thing/,
  ...[...base64Of(token), ...base64Of(secret)].map((text) => new RegExp(text)),
];

const source = `
import base64, json, os, sys
from urllib.parse import quote, quote_plus, urlencode
from flask import Flask
app = Flask(__name__)
def forms(value):
    data = value.encode()
    yield from (value, repr(value), ascii(value), repr(data), json.dumps(value), json.dumps({"a": [value]}, ensure_ascii=False))
    yield from (quote(value), quote(value, safe=""), quote_plus(value), urlencode({"q": value}))
    yield from (base64.b64encode(before + data).decode() for before in (b"", b"a", b"ab", b"user:"))
    yield from (base64.urlsafe_b64encode(data).decode(), base64.b64encode(data + b"@host").decode())
def leak():
    for value in (os.environ["SECRET"], os.environ["TOKEN"]):
        for form in forms(value):
            print("out", form, flush=True)
            print("err", form, file=sys.stderr, flush=True)
    print(os.environ, dict(os.environ), flush=True)
@app.get("/healthz")
def healthz():
    return "ok"
@app.get("/")
def index():
    leak()
    raise RuntimeError("no connection to " + os.environ["TOKEN"] + repr(os.environ["SECRET"]))
`;
const broken = `${source}
leak()
raise RuntimeError("no connection to postgres://" + os.environ["TOKEN"] + "@db")
`;

let cloud: Cloud;
t.before(async () => {
  cloud = await startCloud(t);
});

/** The agent on this app, all of its requests on record. */
async function watched(t: Test, source: string) {
  const app = await released(t, cloud, { source, config });
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const limits = limited({ metricsPeriodMs: 200, restartBaseMs: 1, restartCapMs: 2, crashLoopCount: 2 });
  return { ...(await launch(t, cloud, app, { ...withoutImds(proxy.url), ...limits })), proxy };
}

/** None of what this agent said, answered or sent holds a value, nor any command line of this machine. */
async function keepsSecrets(t: Test, { agent, folder, proxy }: Awaited<ReturnType<typeof watched>>, isMeant: RegExp) {
  await proxy.next({ target: 'GraniteServiceVersion20100801.PutMetricData' });
  const status = await statusOf(folder);
  const log = agent.events.map((event) => (event.event === 'app-output' ? event.line : JSON.stringify(event))).join('\n');
  t.match(log, isMeant, 'it was said');
  const commands = readdirSync('/proc').map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  });
  const places = {
    log,
    console: agent.console.join('\n'),
    readyz: JSON.stringify(await agent.readyz()),
    status: `${JSON.stringify(status)}\n${status.logTail.join('\n')}\n${statusText(status, Date.now())}`,
    sent: proxy.requests.map(({ path, headers, body }) => `${path} ${JSON.stringify(headers)} ${body.toString('latin1')}`).join('\n'),
    commands: commands.join('\n'),
  };
  for (const [place, text] of Object.entries(places)) {
    t.same(needles.filter((needle) => needle.test(text)).map(String), [], place);
  }
}

t.test('F48: a traceback, a dump of the environment, and a value in every encoding, on stdout and stderr', async (t) => {
  const running = await watched(t, source);
  await running.agent.untilState('ready');
  t.equal((await get(running.url)).status, 500);
  const lines = () => running.agent.events.flatMap((event) => (event.event === 'app-output' ? [event.line] : []));
  await eventually(lines, (said) => said.some((line) => line.startsWith('RuntimeError: no connection to [TOKEN]')));
  await keepsSecrets(t, running, /\[SECRET\][\s\S]*\[TOKEN\]/);
  t.equal(lines().filter((line) => /^(out|err) .*\[TOKEN\]/.test(line)).length, 2 * 16, 'each form is replaced by its name');
  t.equal(await running.agent.stop(), 0);
});

t.test('F48: an exception of the import is the cause that is told everywhere, without the value', async (t) => {
  const running = await watched(t, broken);
  await running.agent.untilState('failed');
  await running.agent.untilConsole();
  t.match((await running.agent.readyz()).body, { cause: 'APP_CRASH_LOOP', sentence: 'RuntimeError: no connection to postgres://[TOKEN]@db' });
  await keepsSecrets(t, running, /no connection to postgres:\/\/\[TOKEN\]@db/);
  await running.agent.stop();
});
