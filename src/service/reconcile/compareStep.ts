import type { ComparedRange } from '../../core/books/openDifferences.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { auditRecordPage } from './auditCarts.ts';
import { auditSkus } from './auditSkus.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';
import { confirm, CONFIRM_PAUSE_MS } from './confirm.ts';
import { ReadFailures } from './readFailures.ts';

/** The rows of a range were compared. */
export interface Compared {
  readonly is: 'compared';
  readonly range: ComparedRange;
  /** SKUs or records in the range. */
  readonly count: number;
  /** Differences that two reads, a second apart, show. */
  readonly differences: readonly StockDifference[];
  /** The first row or shard that could not be read, with its reason, for operators; null: everything was read. */
  readonly unread: string | null;
  /** How long it waited between two reads, in milliseconds. */
  readonly pausedMs: number;
}

/** The shard could not be read. */
export interface NotCompared {
  readonly is: 'unread';
  readonly reason: string;
  /** The SKUs of the step, if they were read. */
  readonly sku_ids: readonly string[];
}

type ReadPorts = Omit<CartAuditPorts, 'readFailures'>;

/** Compares the next SKUs of a shard. @param afterHex the last SKU before them; null: the first ones */
export async function compareSkus(
  ports: ReadPorts,
  shard: ShardIndex,
  { afterHex, max }: { readonly afterHex: string | null; readonly max: number },
  deadlineMs: DeadlineMs,
): Promise<Compared | NotCompared> {
  const readFailures = new ReadFailures();
  const read = { ...ports, readFailures };
  const page = await readFailures.tryRead(shard, () => ports.auditor.readSkuIds(shard, afterHex, max, deadlineMs));
  if (page === null) return unreadBy(readFailures, shard);
  const { sku_ids, unreadable, next } = page;
  for (const row of unreadable) readFailures.addRow(shard, row);
  const audit = sku_ids.length === 0 ? { differences: [] } : await auditSkus(read, shard, sku_ids, deadlineMs);
  if (audit === null) return unreadBy(readFailures, shard, sku_ids);
  const range = { afterHex, lastHex: next };
  return confirmed(read, shard, { range, count: sku_ids.length, suspicions: audit.differences }, deadlineMs);
}

/** Compares the next order records of a shard. @param afterHex the last one before them; null: the first ones */
export async function compareRecords(
  ports: ReadPorts,
  shard: ShardIndex,
  afterHex: string | null,
  deadlineMs: DeadlineMs,
): Promise<Compared | NotCompared> {
  const read = { ...ports, readFailures: new ReadFailures() };
  const page = await auditRecordPage(read, shard, afterHex, deadlineMs);
  if (page === null) return unreadBy(read.readFailures, shard);
  const range = { afterHex, lastHex: page.next };
  return confirmed(read, shard, { range, count: page.count, suspicions: page.differences }, deadlineMs);
}

interface FirstRead {
  readonly range: ComparedRange;
  readonly count: number;
  readonly suspicions: readonly StockDifference[];
}

async function confirmed(
  first: CartAuditPorts,
  shard: ShardIndex,
  { range, count, suspicions }: FirstRead,
  deadlineMs: DeadlineMs,
): Promise<Compared | NotCompared> {
  const second = { ...first, readFailures: new ReadFailures() };
  const pausedMs = suspicions.length === 0 ? 0 : CONFIRM_PAUSE_MS;
  const differences = suspicions.length === 0 ? [] : await confirm(second, suspicions, deadlineMs);
  // A suspicion that could not be read again is neither a difference nor gone.
  if (second.readFailures.areAny) return unreadBy(second.readFailures, shard);
  return { is: 'compared', range, count, differences, unread: first.readFailures.firstReason(), pausedMs };
}

function unreadBy(readFailures: ReadFailures, shard: ShardIndex, sku_ids: readonly string[] = []): NotCompared {
  return { is: 'unread', reason: readFailures.reasonOf(shard) ?? readFailures.firstReason() ?? 'unknown', sku_ids };
}
