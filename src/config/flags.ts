import { Command } from 'commander';
import type { Flags } from './config.ts';

/** Reads the command line. `--help` and unknown arguments end the process, as in all commands of this project. */
export function readFlags(): Flags {
  const { workers } = new Command('npm start --')
    .description('Starts the gateway. Its settings are environment variables, listed in src/config/settings.ts.')
    .option('--workers <count>', 'processes behind the two listeners (STOCKGATE_WORKERS, or 1)')
    .parse()
    .opts<{ workers?: string }>();
  return workers === undefined ? {} : { STOCKGATE_WORKERS: workers };
}
