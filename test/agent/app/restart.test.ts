import t from 'tap';
import { judgeExit } from '../../../agent/app/restart.ts';
import { defaultLimits } from '../../../agent/limits.ts';

const facts = { entryPoint: 'app:missing', tail: ['usage: …', 'gunicorn: error: unrecognized arguments: --nonsense'], exitsMs: [1000] };
const judge = (code: number | null, changes: Partial<typeof facts> = {}) =>
  judgeExit({ ...facts, ...changes, exit: { code, signal: code === null ? 'SIGKILL' : null } }, defaultLimits);

t.test('S01: a missing app object is final at once, by name', async (t) => {
  t.match(judge(4), { isFinal: true, report: { cause: 'APP_OBJECT_MISSING', sentence: /app:missing/ } });
});

t.test('S01: two workers that find no app object together make gunicorn end with 1; its log tells', async (t) => {
  const tail = ["Failed to find attribute 'missing' in 'app'.", '[2026-01-01 00:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 4.', 'Traceback'];
  t.match(judge(1, { tail }), { isFinal: true, report: { cause: 'APP_OBJECT_MISSING' } });
  t.match(judge(3, { tail }), { isFinal: false });
});

t.test('S03: a refused flag is final at once, with what gunicorn said', async (t) => {
  t.match(judge(2), { isFinal: true, report: { cause: 'APP_SETTINGS_INVALID', sentence: /--nonsense/ } });
});

t.test('S08, S14: any other exit is tried again, status 0 and a failed worker start too', async (t) => {
  for (const code of [0, 1, 3, null]) t.match(judge(code), { isFinal: false, report: { cause: 'APP_EXITED' } });
});

t.test('the reason is said with the exit, but for a signal from outside', async (t) => {
  const tail = ['Traceback (most recent call last):', '  File "app.py"', 'RuntimeError: no database'];
  t.equal(judge(3, { tail }).report.sentence, 'gunicorn ended with exit status 3: RuntimeError: no database');
  t.equal(judge(null, { tail }).report.sentence, 'gunicorn ended with SIGKILL');
});

t.test('S09: as many exits as the limit says are a crash loop', async (t) => {
  const exitsMs = Array.from({ length: defaultLimits.crashLoopCount }, (_, index) => index);
  t.match(judge(1, { exitsMs: exitsMs.slice(1) }), { isFinal: false });
  t.match(judge(1, { exitsMs }), { isFinal: true, report: { cause: 'APP_CRASH_LOOP', sentence: /ended 10 times/ } });
});

t.test('S01: the module of the entry point, or a package above it, is missing for good; what it imports may come', async (t) => {
  const tail = (module: string) => ['  File "importlib.py", line 1', `ModuleNotFoundError: No module named '${module}'`];
  for (const module of ['shop.web', 'shop']) {
    const verdict = judgeExit({ ...facts, entryPoint: 'shop.web:app', tail: tail(module), exit: { code: 3, signal: null } }, defaultLimits);
    t.match(verdict, { isFinal: true, report: { cause: 'APP_OBJECT_MISSING' } }, module);
  }
  for (const module of ['sho', 'shop.web.views', 'requests']) {
    const verdict = judgeExit({ ...facts, entryPoint: 'shop.web:app', tail: tail(module), exit: { code: 3, signal: null } }, defaultLimits);
    t.match(verdict, { isFinal: false, report: { cause: 'APP_EXITED', sentence: new RegExp(module) } }, module);
  }
});
