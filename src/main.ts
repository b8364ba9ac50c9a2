import { startGateway } from './app.ts';
import { loadConfig } from './config.ts';
import { ConfigError } from './configError.ts';
import { createLog } from './log.ts';

/** The gateway as a process: start, say so in one line on standard output, drain on SIGTERM or Ctrl-C, exit 0. */
async function main(): Promise<void> {
  // Whatever ends the process before it is ready is a failure.
  process.exitCode = 1;
  const config = await loadConfig();
  const log = createLog(config.logLevel);
  if (config.public.tokens.length === 0 || config.admin.tokens.length === 0) {
    log.warn('no token is configured for a listener: it listens on loopback only and lets everybody in');
  }
  const gateway = await startGateway(config, log);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'draining');
    void gateway
      .drain()
      .then(() => 0)
      .catch((error: unknown) => {
        log.error({ err: error }, 'draining failed');
        return 1;
      })
      .then((code) => log.flush(() => process.exit(code)));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  process.exitCode = 0;
  console.log(`ready ${gateway.publicUrl} admin ${gateway.adminUrl}`);
}

function isAddressTaken(error: unknown): boolean {
  return (error as { syscall?: string }).syscall === 'listen';
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError || isAddressTaken(error) ? (error as Error).message : error);
  process.exit(1);
});
