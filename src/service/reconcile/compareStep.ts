import type { StockDifference } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { auditRecordPage } from './auditCarts.ts';
import { auditSkus } from './auditSkus.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';
import { confirm } from './confirm.ts';
import { ReadFailures } from './readFailures.ts';

/** Rows were compared. */
export interface Compared {
  readonly is: 'compared';
  /** SKUs or records. */
  readonly count: number;
  /** The last SKU or record, in hexadecimal digits; null: there is no further one. */
  readonly next: string | null;
  /** Differences that two reads, a second apart, show. */
  readonly differences: readonly StockDifference[];
  /** The first row or shard that could not be read, with its reason, for operators; null: everything was read. */
  readonly unread: string | null;
  /** The time of the first read, in milliseconds. */
  readonly elapsedMs: number;
}

/** The shard could not be read. */
export interface NotCompared {
  readonly is: 'unread';
  readonly reason: string;
  /** The SKUs of the step, and the last of them in hexadecimal digits; none if the SKUs could not be read. */
  readonly sku_ids: readonly string[];
  readonly next: string | null;
  readonly elapsedMs: number;
}

/** The least time for reading suspicions again, pause included. */
const CONFIRM_MS = 10_000;

type ReadPorts = Omit<CartAuditPorts, 'readFailures'>;

/** Compares the next SKUs of a shard. @param afterHex the last SKU before them; null: the first ones */
export async function compareSkus(
  ports: ReadPorts,
  shard: ShardIndex,
  { afterHex, max }: { readonly afterHex: string | null; readonly max: number },
  deadlineMs: DeadlineMs,
): Promise<Compared | NotCompared> {
  const beganMs = performance.now();
  const first = { ...ports, readFailures: new ReadFailures() };
  const page = await readSkuPage(first, shard, { afterHex, max }, deadlineMs);
  if (page === null) return unreadBy(first, shard, { sku_ids: [], next: null, beganMs });
  const { sku_ids, next } = page;
  const audit = sku_ids.length === 0 ? { differences: [] } : await auditSkus(first, shard, sku_ids, deadlineMs);
  if (audit === null) return unreadBy(first, shard, { sku_ids, next, beganMs });
  return confirmed(first, { count: sku_ids.length, next, beganMs, suspicions: audit.differences }, deadlineMs);
}

/** Compares the next order records of a shard. @param afterHex the last one before them; null: the first ones */
export async function compareRecords(
  ports: ReadPorts,
  shard: ShardIndex,
  afterHex: string | null,
  deadlineMs: DeadlineMs,
): Promise<Compared | NotCompared> {
  const beganMs = performance.now();
  const first = { ...ports, readFailures: new ReadFailures() };
  const page = await auditRecordPage(first, shard, afterHex, deadlineMs);
  if (page === null) return unreadBy(first, shard, { sku_ids: [], next: null, beganMs });
  const { count, next, differences } = page;
  return confirmed(first, { count, next, beganMs, suspicions: differences }, deadlineMs);
}

/** The next SKUs with a row in any table, in the order of their ids. @returns null: the shard could not be read */
async function readSkuPage(
  { auditor, readFailures }: CartAuditPorts,
  shard: ShardIndex,
  { afterHex, max }: { readonly afterHex: string | null; readonly max: number },
  deadlineMs: DeadlineMs,
): Promise<{ readonly sku_ids: readonly string[]; readonly next: string | null } | null> {
  const stock = await readFailures.tryRead(shard, () => auditor.readSkuIds(shard, afterHex, max, deadlineMs));
  if (stock === null) return null;
  const range = { afterHex, lastHex: stock.next };
  // SKUs without a stock row are rare. If they cannot be found in time, the others are compared all the same.
  const others = new ReadFailures();
  const journals = await others.tryRead(shard, () => auditor.readJournalSkuIds(shard, range, max, deadlineMs));
  if (journals === null) readFailures.addRow(shard, `SKUs without a stock row: ${others.failureOf(shard)}`);
  for (const row of [...stock.unreadable, ...(journals?.unreadable ?? [])]) readFailures.addRow(shard, row);
  const next = journals?.next ?? stock.next;
  const sku_ids = [...new Set([...stock.sku_ids, ...(journals?.sku_ids ?? [])])];
  return { next, sku_ids: next === null ? sku_ids : sku_ids.filter((sku_id) => hexOf(sku_id) <= next) };
}

interface FirstRead {
  readonly count: number;
  readonly next: string | null;
  readonly beganMs: number;
  readonly suspicions: readonly StockDifference[];
}

/** A suspicion that cannot be read again is no difference; the next round finds it again. */
async function confirmed(
  first: CartAuditPorts,
  { suspicions, beganMs, ...page }: FirstRead,
  deadlineMs: DeadlineMs,
): Promise<Compared> {
  const elapsedMs = performance.now() - beganMs;
  const second = { ...first, readFailures: new ReadFailures() };
  // The first read may have taken all of its time, for example to find the records of many sales.
  const untilMs = Math.max(deadlineMs, performance.now() + CONFIRM_MS);
  const differences = suspicions.length === 0 ? [] : await confirm(second, suspicions, untilMs);
  const unread = first.readFailures.firstReason() ?? second.readFailures.firstReason();
  return { is: 'compared', ...page, differences, unread, elapsedMs };
}

function unreadBy(
  { readFailures }: CartAuditPorts,
  shard: ShardIndex,
  { beganMs, ...page }: Pick<NotCompared, 'sku_ids' | 'next'> & { readonly beganMs: number },
): NotCompared {
  const reason = readFailures.failureOf(shard) ?? readFailures.firstReason() ?? 'unknown';
  return { is: 'unread', reason, ...page, elapsedMs: performance.now() - beganMs };
}

function hexOf(sku_id: string): string {
  return Buffer.from(sku_id, 'utf8').toString('hex');
}
