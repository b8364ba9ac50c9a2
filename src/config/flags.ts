import { Command } from 'commander';
import type { Flags } from './config.ts';

/** The flags of `npm start`, by the setting over which each takes precedence. */
export const SETTING_FLAGS = { STOCKGATE_WORKERS: '--workers <count>' } as const satisfies Record<keyof Flags, string>;

/** Reads the command line. `--help` and unknown arguments end the process, as in all commands of this project. */
export function readFlags(): Flags {
  const { workers } = new Command('npm start --')
    .description('Starts the gateway. Its settings are environment variables, listed in docs/configuration.md.')
    .option(SETTING_FLAGS.STOCKGATE_WORKERS, 'processes behind the two listeners (STOCKGATE_WORKERS, or 1)')
    .parse()
    .opts<{ workers?: string }>();
  return workers === undefined ? {} : { STOCKGATE_WORKERS: workers };
}
