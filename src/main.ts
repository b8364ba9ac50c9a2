import { inspect } from 'node:util';
import type { Logger } from 'pino';
import { startGateway } from './app.ts';
import type { Config } from './config.ts';
import { loadConfig } from './config.ts';
import { ConfigError } from './configError.ts';
import { readFlags } from './flags.ts';
import { createLog } from './log.ts';
import type { Addresses } from './workers/messages.ts';
import { Primary, WorkersError } from './workers/primary.ts';
import { isWorker, joinPrimary, tellFailure } from './workers/worker.ts';

/** The gateway as a process: start, say so in one line on standard output, drain on SIGTERM or Ctrl-C, exit 0. */
async function main(): Promise<void> {
  // Whatever ends the process before it is ready is a failure.
  process.exitCode = 1;
  if (isWorker()) return serveAmongOthers();
  const config = await loadConfig(undefined, readFlags());
  const log = createLog(config.logLevel);
  if (config.public.tokens.length === 0 || config.admin.tokens.length === 0) {
    log.warn('no token is configured for a listener: it listens on loopback only and lets everybody in');
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
  sayReady(gateway);
}

/** The process over several that serve. The first signal lets them drain, the second ends all at once. */
async function leadWorkers(config: Config, log: Logger): Promise<void> {
  const primary = new Primary(config, log, sayReady);
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

/** One process of several. Ctrl-C in a terminal reaches it too, beside the primary's word, and means the same. */
async function serveAmongOthers(): Promise<void> {
  const { config, siblings, drainAsked, ready } = await joinPrimary();
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
  void drainAsked.then(stop);
  ready(gateway, () => gateway.metricsSnapshot());
}

function sayReady({ publicUrl, adminUrl }: Addresses): void {
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

/** A worker asks the primary to listen for it, and hears of the step before. */
function isAddressTaken(error: unknown): boolean {
  return ['listen', 'bind'].includes((error as { syscall?: string }).syscall ?? '');
}

/** The words for what ended the start: a fault of ours has its stack. */
function wordsFor(error: unknown): string {
  const isClear = error instanceof ConfigError || error instanceof WorkersError || isAddressTaken(error);
  return isClear ? (error as Error).message : inspect(error);
}

main().catch(async (error: unknown) => {
  if (isWorker()) await tellFailure(wordsFor(error));
  else console.error(wordsFor(error));
  process.exit(1);
});
