import { openReportShards } from '../../mysql/books/reportShards.ts';
import { DelayStore, NOTICED_MS } from '../../mysql/precheck/delayStore.ts';
import { turnOffDelay } from '../../service/precheck/turnOffDelay.ts';
import type { DelayReport } from '../../service/precheck/turnOffDelay.ts';
import { readShards } from '../support/readShards.ts';
import { exitAfterFlush, fail, printTable } from '../support/report.ts';

export interface PrecheckOffOptions {
  /** The file that lists the shards. */
  readonly shards: string;
  /** The longest one shard may take, in seconds. */
  readonly timeout: number;
}

const WORDS: Readonly<Record<DelayReport['is'], string>> = {
  off: 'off now',
  was_off: 'off',
  in_use: 'on: a gateway with STOCKGATE_PRECHECK serves this shard',
  kept: 'on',
  failed: 'not known',
};

const RESTART = 'Restart all gateways without STOCKGATE_PRECHECK, then repeat this command';

function msOf({ delayMs }: DelayReport): string {
  return delayMs === null ? '-' : `${delayMs} ms`;
}

/**
 * Turns the restock delay off on shards that no gateway with a pre-check serves any more.
 *
 * @param apply false: only shows the state of each shard
 */
export async function precheckOff({ shards: file, timeout }: PrecheckOffOptions, apply: boolean): Promise<void> {
  const { initialShards, shards } = await readShards(file);
  const shardMs = timeout * 1_000;
  const books = openReportShards({ shards, initialShards, statementMs: shardMs, relaxedAllowed: true });
  try {
    if (apply) console.error(`waiting up to ${NOTICED_MS / 1_000} s for gateways with STOCKGATE_PRECHECK`);
    const delays = new DelayStore(books.shards);
    const reports = await turnOffDelay({ delays, shardCount: shards.length, apply, shardMs, armWaitMs: NOTICED_MS });
    const nameOf = ({ shard }: DelayReport): string => shards[shard]?.name ?? String(shard);
    printTable(
      ['shard', 'restock delay', 'result'],
      reports.map((report) => [nameOf(report), msOf(report), report.reason ?? WORDS[report.is]]),
    );
    const of = (is: DelayReport['is']): DelayReport[] => reports.filter((report) => report.is === is);
    const named = (is: DelayReport['is']): string => of(is).map(nameOf).join(', ');
    const inUse = named('in_use');
    if (inUse !== '') fail(`a gateway with STOCKGATE_PRECHECK serves ${inUse}: the delay stays on. ${RESTART}`);
    const failed = named('failed');
    if (failed !== '') fail(`no answer from ${failed}; repeat this command when they answer`);
    if (!apply && named('kept') !== '') console.log('nothing was changed; --yes turns the delay off');
  } finally {
    books.close();
  }
  await exitAfterFlush();
}
