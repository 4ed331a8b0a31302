import t from 'tap';
import { lastWords } from '../../../agent/app/last-words.ts';

const own = (level: string, text: string) => `[2026-01-01 00:00:00 +0000] [7] [${level}] ${text}`;

t.test('the exception under the last traceback', async (t) => {
  const failedImport = [
    own('INFO', 'Booting worker with pid: 9'),
    own('ERROR', 'Exception in worker process'),
    'Traceback (most recent call last):',
    '  File "/x/app.py", line 3, in <module>',
    '    import nothing',
    "ModuleNotFoundError: No module named 'nothing'",
    own('INFO', 'Worker exiting (pid: 9)'),
    own('ERROR', 'Worker (pid:9) exited with code 3.'),
    own('ERROR', 'Shutting down: Master'),
    own('ERROR', 'Reason: Worker failed to boot.'),
  ];
  t.equal(lastWords(failedImport), "ModuleNotFoundError: No module named 'nothing'");
});

t.test("gunicorn's own last error where there is no traceback, or one without its end", async (t) => {
  t.equal(lastWords([own('ERROR', 'Connection in use'), 'a line of the app', own('INFO', 'bye')]), 'Connection in use');
  t.equal(lastWords(['Traceback (most recent call last):', '  File "x"', own('CRITICAL', 'WORKER TIMEOUT (pid:9)')]), 'WORKER TIMEOUT (pid:9)');
});

t.test('the last line of anything else, cut to a length, and nothing of nothing', async (t) => {
  t.equal(lastWords(['one', 'two', ' ', '']), 'two');
  t.equal(lastWords(['x'.repeat(5000)])?.length, 201);
  t.equal(lastWords([]), undefined);
});

t.test('a traceback so long that its head fell out of the tail, and one that only says that gunicorn halts', async (t) => {
  const frames = ['  File "/x/importlib.py", line 1, in load', '    return load()', 'KeyError: 3'];
  t.equal(lastWords([...frames, own('INFO', 'Worker exiting (pid: 9)')]), 'KeyError: 3');
  const halted = ['Traceback (most recent call last):', '  File "arbiter.py"', "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>"];
  t.equal(lastWords([...frames, ...halted]), 'KeyError: 3');
});

t.test('an own line of gunicorn without its time and process id: those would make each crash another', async (t) => {
  t.equal(lastWords([own('INFO', 'Shutting down: Master')]), 'Shutting down: Master');
});
