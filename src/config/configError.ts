import type { Fault } from '../schema/compile.ts';

/** A configuration with faults. The message names the path of every fault. */
export class ConfigError extends Error {
  readonly faults: readonly Fault[];

  constructor(source: string, faults: readonly Fault[]) {
    super([`${source} is wrong:`, ...faults.map(({ path, message }) => `  ${path}: ${message}`)].join('\n'));
    this.faults = faults;
  }
}
