import t from 'tap';
import { sayExit } from '../../../agent/app/restart.ts';
import { readUnitState, unitProperties } from '../../../agent/app/unit-state.ts';

const shown = (changes: Record<string, string>) =>
  Object.entries({
    ActiveState: 'activating',
    MainPID: '0',
    Result: 'exit-code',
    ExecMainCode: '1',
    ExecMainStatus: '3',
    ExecMainStartTimestampMonotonic: '837012961',
    ControlGroup: '',
    ...changes,
  })
    .map((pair) => `${pair.join('=')}\n`)
    .join('');

t.test('a unit that runs', async (t) => {
  const running = {
    ActiveState: 'active',
    MainPID: '89',
    Result: 'success',
    ExecMainCode: '0',
    ExecMainStatus: '0',
    ControlGroup: '/system.slice/a=b.service',
  };
  t.match(readUnitState(shown(running)), { isActive: true, pid: 89, startedAtUs: 837_012_961, controlGroup: '/system.slice/a=b.service', result: 'success' });
});

t.test('how its last process ended: a status, a signal, a signal with a core dump', async (t) => {
  const exitOf = (ExecMainCode: string, ExecMainStatus: string) => readUnitState(shown({ ExecMainCode, ExecMainStatus })).exit;
  t.same(exitOf('1', '3'), { code: 3, signal: null });
  t.same(exitOf('1', '0'), { code: 0, signal: null });
  t.same(exitOf('2', '9'), { code: null, signal: 'SIGKILL' });
  t.same(exitOf('2', '15'), { code: null, signal: 'SIGTERM' });
  t.same(exitOf('3', '11'), { code: null, signal: 'SIGSEGV' });
  t.same(exitOf('0', '0'), { code: null, signal: 'SIGTERM' }, 'a run that goes on: the one before was ended from outside');
  t.equal(sayExit({ ...exitOf('2', '9'), wasOutOfMemory: true }), 'SIGKILL, out of memory');
});

t.test('every property that is read is asked for', async (t) => {
  const all = readUnitState(shown({ ActiveState: 'active', MainPID: '1', ControlGroup: '/x' }));
  for (const name of unitProperties) {
    const without = readUnitState(shown({ ActiveState: 'active', MainPID: '1', ControlGroup: '/x' }).replace(new RegExp(`^${name}=.*\\n`, 'm'), ''));
    t.notSame(without, all, name);
  }
});
