import type { OrderedLine } from '../../core/restore/missingRecord.ts';
import { openReportShards } from '../../mysql/books/reportShards.ts';
import { ReferenceCopy } from '../../mysql/restore/referenceCopy.ts';
import { RepairLock } from '../../mysql/restore/repairLock.ts';
import { readShards } from '../support/readShards.ts';
import type { ShardConfig } from '../../config/shardsFile.ts';
import { readOrdersFile } from './ordersFile.ts';
import type { RestoredOptions } from './restoredOptions.ts';
import { RestoredWork } from './restoredWork.ts';

/** Lists the missing records of restored shards, puts them back if `--put-back` is set, and reopens the shards. */
export async function reconcileRestored(options: RestoredOptions): Promise<void> {
  const deadlineMs = performance.now() + options.timeout * 1_000;
  const { initialShards, shards } = await readShards(options.shards);
  const statementMs = options.timeout * 1_000;
  const lines = options.orders === undefined ? [] : await readOrdersFile(options.orders);
  const past =
    options.against === undefined
      ? null
      : new ReferenceCopy(
          (await readShards(options.against)).shards.map(({ address }) => address),
          statementMs,
        );
  const named = namedOf(shards, options);
  const writes = [options.close, options.putBack, options.accept].some((step) => step);
  const books = openReportShards({
    shards,
    initialShards,
    statementMs,
    relaxedAllowed: true,
    readOnlyAllowed: !writes,
  });
  let lock: RepairLock | null = null;
  try {
    await Promise.all(books.shards.map((shard) => shard.tried));
    if (options.close || options.putBack || options.accept)
      lock = await RepairLock.take(named, statementMs, deadlineMs);
    const work = new RestoredWork({
      books,
      reference: past,
      lock,
      shards,
      initialShards,
      sinceMs: options.since?.getTime() ?? null,
      deadlineMs,
    });
    if (options.close) await work.close(named);
    else await repair(work, lines, options);
  } finally {
    books.close();
    past?.close();
    lock?.free();
  }
}

/** The shards that the command may change: the named ones, or all. */
function namedOf(
  shards: readonly ShardConfig[],
  { shard: names = [], close }: RestoredOptions,
): readonly ShardConfig[] {
  const unknown = names.find((name) => !shards.some((shard) => shard.name === name));
  if (unknown !== undefined) throw new Error(`no shard is called ${unknown}`);
  if (close && names.length === 0) throw new Error('--close needs the names of shards: --shard');
  return names.length === 0 ? shards : shards.filter(({ name }) => names.includes(name));
}

async function repair(work: RestoredWork, lines: readonly OrderedLine[], options: RestoredOptions): Promise<void> {
  const chosen = await work.choose(options);
  if (chosen.length === 0) {
    if (process.exitCode === undefined)
      console.log(
        'no shard is below the watermark that the other shards recorded of it; ' +
          'if it was restored before they recorded one, close it first (--close) and then name it with --shard',
      );
    return;
  }
  if (options.putBack) await work.closeBeforePutBack(chosen);
  let findings = await work.find(chosen, lines);
  for (const finding of findings) await work.report(finding, 'missing', options.list);
  if (options.putBack) {
    await work.putBack(findings, lines);
    findings = await work.find(chosen, lines);
    for (const finding of findings) await work.report(finding, 'still missing', options.list);
  }
  // Only after all shards were repaired: one cart may have lines on several of them.
  for (const finding of findings) await work.reopen(finding, options);
}
