import { inspect } from 'node:util';
import type { Logger } from 'pino';
import { startGateway } from './app/startGateway.ts';
import type { Config } from './config/config.ts';
import { loadConfig } from './config/config.ts';
import { ConfigError } from './config/configError.ts';
import { readFlags } from './config/flags.ts';
import { createLog } from './log.ts';
import type { Addresses } from './workers/messages.ts';
import { Primary, WorkersError } from './workers/primary.ts';
import { isWorker, joinPrimary, reportFailure } from './workers/worker.ts';

/**
 * The gateway as a process: it starts, prints one line on standard output, drains on SIGTERM or Ctrl-C, and exits with
 * 0.
 */
async function main(): Promise<void> {
  // Any end of the process before it is ready is a failure.
  process.exitCode = 1;
  if (isWorker()) return serveAmongOthers();
  const config = await loadConfig(undefined, readFlags());
  const log = createLog(config.logLevel);
  if (config.public.tokens.length === 0 || config.admin.tokens.length === 0) {
    log.warn('no token is configured for a listener: it listens on loopback only and accepts all requests');
  }
  await (config.workers === 1 ? serveAlone(config, log) : leadWorkers(config, log));
}

async function serveAlone(config: Config, log: Logger): Promise<void> {
  const gateway = await startGateway(config, log);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'draining');
    endAfter(gateway.drain(), log);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  printReady(gateway);
}

/** The process that starts workers. The first signal drains them, the second kills all at once. */
async function leadWorkers(config: Config, log: Logger): Promise<void> {
  const primary = new Primary(config, log, printReady);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'draining');
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.removeListener(name, stop);
      process.once(name, () => {
        primary.kill();
        process.kill(process.pid, name);
      });
    }
    primary.drain();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await primary.run();
  log.flush(() => process.exit(0));
}

/**
 * One worker of several. Ctrl-C in a terminal reaches it too, besides the message of the primary, and has the same
 * effect.
 */
async function serveAmongOthers(): Promise<void> {
  const { config, siblings, drainRequested, ready } = await joinPrimary();
  const log = createLog(config.logLevel);
  const gateway = await startGateway(config, log, undefined, siblings);
  let ending = false;
  const stop = (): void => {
    if (ending) return;
    ending = true;
    endAfter(gateway.drain(), log);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  void drainRequested.then(stop);
  ready(gateway, () => gateway.metricsSnapshot());
}

function printReady({ publicUrl, adminUrl }: Addresses): void {
  process.exitCode = 0;
  console.log(`ready ${publicUrl} admin ${adminUrl}`);
}

function endAfter(drained: Promise<void>, log: Logger): void {
  void drained
    .then(() => 0)
    .catch((error: unknown) => {
      log.error({ err: error }, 'draining failed');
      return 1;
    })
    .then((code) => log.flush(() => process.exit(code)));
}

/** A worker lets the primary listen for it, and then the error names `bind`, the step before. */
function isAddressTaken(error: unknown): boolean {
  return ['listen', 'bind'].includes((error as { syscall?: string }).syscall ?? '');
}

/** The message for an error that ended the start. An unexpected error is shown with its stack. */
function messageOf(error: unknown): string {
  const isClear = error instanceof ConfigError || error instanceof WorkersError || isAddressTaken(error);
  return isClear ? (error as Error).message : inspect(error);
}

main().catch(async (error: unknown) => {
  if (isWorker()) await reportFailure(messageOf(error));
  else console.error(messageOf(error));
  process.exit(1);
});
