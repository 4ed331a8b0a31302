import { type FSWatcher, readFileSync, watch } from 'node:fs';

/** What the kernel says of a control group; undefined where it does not say (Linux kernel documentation: cgroup-v2). */
export type ControlGroup = {
  /** Whether a process of it runs. A group that is gone has none. */
  isPopulated(): boolean;
  /** How many of its processes the out-of-memory killer has ended. */
  oomKills(): number | undefined;
};

/** The group at a path such as `/system.slice/pinion-app.service`. */
export function controlGroup(path: string): ControlGroup {
  const folder = `/sys/fs/cgroup${path}`;
  return { isPopulated: () => counterIn(`${folder}/cgroup.events`, 'populated') === 1, oomKills: () => counterIn(`${folder}/memory.events`, 'oom_kill') };
}

/** Calls `onChange` when the group becomes empty or loses a process for want of memory; the kernel tells by inotify, without asking. */
export function watchControlGroup(path: string, onChange: () => void): { stop(): void } {
  const watchers: FSWatcher[] = [];
  for (const file of ['cgroup.events', 'memory.events']) {
    try {
      const watcher = watch(`/sys/fs/cgroup${path}/${file}`, onChange);
      // With the group its files go.
      watcher.on('error', onChange);
      watchers.push(watcher);
    } catch {
      // Gone already, a host without this controller, or no descriptor left: who asks regularly finds out a little later.
    }
  }
  return {
    stop() {
      for (const watcher of watchers) watcher.close();
    },
  };
}

function counterIn(file: string, name: string): number | undefined {
  try {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((text) => text.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  } catch {
    return undefined;
  }
}
