import { fork } from 'node:child_process';
import { once } from 'node:events';
import { bootProgram } from './boot/child.ts';
import { agentVersion } from './version.ts';

/**
 * One line that says what was loaded: everything that agent and boot load when they need it. Nothing is asked of anybody, so it proves an image
 * before it is sealed, and fills Node's compile cache for the first boot of every instance. Throws what a module that cannot be loaded does.
 */
export async function selfCheck(): Promise<string> {
  await Promise.all([
    import('./agent.ts'),
    import('./readiness/server.ts'),
    import('./reporting/log.ts'),
    import('./reporting/show-status.ts'),
    import('./boot/kept.ts'),
    import('./aws-client.ts'),
    import('./credentials/vend.ts'),
    import('@aws-sdk/client-auto-scaling'),
    import('@aws-sdk/client-cloudwatch'),
    import('@aws-sdk/client-sts'),
  ]);
  const boot = fork(bootProgram, ['--check'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [status] = await once(boot, 'close');
  if (status !== 0) throw new Error(`the boot program ended with ${status}`);
  return `pinion-agent ${agentVersion}, Node ${process.version}: agent and boot are complete`;
}
