import type { Exit } from './restart.ts';

/** The one seam between the agent and where gunicorn runs. */
export type App = {
  /** Resolves with its process id; `adopted` when what an earlier agent started still ran. Throws TREE_MISSING, INTERPRETER_MISSING, PORT_IN_USE, APP_SPAWN_FAILED or STATE_UNWRITABLE. */
  start(): Promise<Started>;
  /** Asks gunicorn to finish what it serves and end. */
  terminate(): void;
  /** Ends everything it started, at once. */
  kill(): void;
  /** How it ended, from that moment on: what it left is ended before `onExit` is called. Undefined while it runs. */
  ended(): Exit | undefined;
  /** Process ids of gunicorn's workers now. */
  workers(): readonly number[];
  /** Last lines of its output since its last start, without values of config. */
  tail(): readonly string[];
  /** Nothing may start it any more: whoever listens for it stops. */
  close(): Promise<void>;
};

export type Started = { readonly pid: number; readonly how: 'started' | 'adopted' };

/** Called once for every start, when nothing of the app runs any more. */
export type OnExit = (exit: Exit) => void;
