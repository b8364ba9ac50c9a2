import type { StockRowRead, StockRowsRead } from '../../../core/ports/stockRowsReader.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { jsonOf } from '../text/json.ts';
import { SkuCells } from '../batch/skuCells.ts';

/**
 * Rows that a transaction is changing are skipped. The others stay as they are until this transaction ends. The lock is
 * shared, so that several may read at once.
 */
const FREE = 'SELECT sku_id, sub_row FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?)';
/** The lock clause of each product. */
const SHARED = { mysql: ' FOR SHARE SKIP LOCKED', mariadb: ' LOCK IN SHARE MODE SKIP LOCKED' } as const;
const LOOK = `
SELECT w.item, o.epoch IS NOT NULL AS is_mine, h.sku_id IS NOT NULL AS has_layout,
       EXISTS (SELECT 1 FROM transfer t FORCE INDEX (by_open)
                WHERE t.is_open = 1 AND t.sku_id = UNHEX(w.sku_id)) AS has_open,
       s.sub_row, s.leaved_amount, s.held_amount, s.version
  FROM (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (
          item FOR ORDINALITY, sku_id VARCHAR(128) PATH '$[0]', slot SMALLINT UNSIGNED PATH '$[1]')) AS j) AS w
  LEFT JOIN slot o FORCE INDEX (PRIMARY) ON o.slot = w.slot
  LEFT JOIN hot_sku h FORCE INDEX (PRIMARY) ON h.sku_id = UNHEX(w.sku_id)
  LEFT JOIN stock s FORCE INDEX (PRIMARY) ON s.sku_id = UNHEX(w.sku_id)`;
const IDS =
  'SELECT order_detail_id FROM flow FORCE INDEX (PRIMARY) ' +
  'WHERE sku_id = ? AND order_detail_id > ? ORDER BY order_detail_id LIMIT ?';

interface Row {
  readonly item: number;
  readonly is_mine: number;
  readonly has_layout: number;
  readonly has_open: number;
  readonly sub_row: number | null;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly version: number;
}

/**
 * Reads the stock rows of some SKUs, in one round trip that waits for no lock. A row that a transaction is changing is
 * returned as it was before, and as uncertain: that transaction may already have read the clock, which sets the time
 * from which its units may be sold.
 *
 * @param sku_ids at least one, none twice
 * @param lock the product, whose lock clause is used; null: nothing is locked, and nothing is certain
 */
export async function readStockRows(
  connection: Connection,
  sku_ids: readonly string[],
  lock: keyof typeof SHARED | null,
  deadlineMs: DeadlineMs,
): Promise<StockRowsRead[]> {
  const cells = new SkuCells();
  const wanted = jsonOf(sku_ids.map((sku_id) => [cells.of(sku_id).hex, cells.of(sku_id).slot]));
  const free = new Set<string>();
  let rows: readonly Row[];
  if (lock === null) rows = await connection.rows<Row>(LOOK, [wanted], deadlineMs);
  else {
    const answers = await connection.reads(
      ['START TRANSACTION', `${FREE}${SHARED[lock]}`, LOOK, 'COMMIT'],
      [sku_ids.map(bytesOf), wanted],
      deadlineMs,
    );
    for (const { sku_id, sub_row } of answers[1] as unknown as { sku_id: Buffer; sub_row: number }[])
      free.add(`${textOf(sku_id)}\0${sub_row}`);
    rows = answers[2] as unknown as Row[];
  }
  const byItem = new Map<number, Row[]>();
  for (const row of rows) byItem.set(row.item, [...(byItem.get(row.item) ?? []), row]);
  return sku_ids.map((sku_id, place) => stockReadOf(sku_id, byItem.get(place + 1) ?? [], free));
}

function stockReadOf(sku_id: string, rows: readonly Row[], free: ReadonlySet<string>): StockRowsRead {
  const [first] = rows;
  const readRows = rows.flatMap(({ sub_row, leaved_amount, held_amount, version }): StockRowRead[] =>
    sub_row === null ? [] : [{ sub_row, leaved_amount, held_amount, version }],
  );
  return {
    sku_id,
    rows: readRows,
    isOwner: first?.is_mine === 1,
    hasLayout: first?.has_layout === 1,
    hasOpenTransfers: first?.has_open === 1,
    isCertain: readRows.every(({ sub_row }) => free.has(`${sku_id}\0${sub_row}`)),
  };
}

/**
 * A page of a SKU's ids, in the order of their bytes. The status of their flows does not matter.
 *
 * @param after the hexadecimal digits of the last page's last id
 */
export async function readAllIds(
  connection: Connection,
  sku_id: string,
  after: string,
  max: number,
  deadlineMs: DeadlineMs,
): Promise<{ ids: string[]; next: string | null }> {
  const rows = await connection.rows<{ order_detail_id: Buffer }>(
    IDS,
    [bytesOf(sku_id), Buffer.from(after, 'hex'), max],
    deadlineMs,
  );
  const ids = rows.map(({ order_detail_id }) => textOf(order_detail_id));
  return { ids, next: ids.length < max ? null : (rows.at(-1)?.order_detail_id.toString('hex') ?? null) };
}
