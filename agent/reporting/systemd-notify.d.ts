declare module 'systemd-notify' {
  /** Runs the tool `systemd-notify`; rejects when it cannot be started or fails. */
  export default function notify(options: { readonly ready?: boolean; readonly status?: string; readonly pid?: number }): Promise<unknown>;
}
