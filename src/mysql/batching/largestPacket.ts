import { SUB_ROWS_LIMIT } from '../../core/hot/layout.ts';
import type { LedgerFlow, NewTransfer, WriteSet } from '../../core/ledger/ledger.ts';
import { LINES_LIMIT, QUANTITY_LIMIT, STOCK_LIMIT } from '../../core/types.ts';
import type { SqlValue } from '../connection/connection.ts';
import { partValues } from '../sql/batch/applyBatch.ts';

/** Default for the most lines in a batch: more add latency and no speed. An order with more lines is sent alone. */
export const LINES_MAX = 512;

const ID_BYTES_MAX = 64;
/** A reason has 255 characters at most, of four bytes each in UTF-8. */
const REASON = '\u{10ffff}'.repeat(255);
const ATTEMPT_MAX = 2 ** 32 - 1;
const SHARD_MAX = 1_023;
const DEADLINE = '2026-11-20 10:00:00.000000';
/** `START TRANSACTION`, `COMMIT` and a `CALL` with a schema's name of 64 characters: for each shard, in bytes. */
const STATEMENT_BYTES = 256;

const id = (letter: string): string => letter.repeat(ID_BYTES_MAX);

const LINE_BYTES_MAX = STATEMENT_BYTES + packetBytesOf(partValues(DEADLINE, [id('s')], longestLine()));

/**
 * The longest packet that a gateway sends to a server, in bytes. Batches are the longest: `LINES_MAX` lines, or the
 * `LINES_LIMIT` of one order. Each line counts as a part of its own with the longest row of every kind, and with
 * transfers from every row of its SKU. Rows are measured as `partValues` writes them, so the bound follows the format.
 */
export const LARGEST_PACKET_BYTES = Math.max(LINES_MAX, LINES_LIMIT) * LINE_BYTES_MAX;

/** The longest rows of all kinds. One line of a batch never writes more: no operation writes rows of all kinds. */
export function longestLine(letter = 's'): WriteSet {
  const sku_id = id(letter);
  const transaction = { transaction_id: 'f'.repeat(32), coordinator: SHARD_MAX };
  const flow = (order: string): LedgerFlow => ({
    ...{ sku_id, order_detail_id: id('d'), order_id: id(order), attempt: ATTEMPT_MAX, quantity: QUANTITY_LIMIT },
    ...{ returned: QUANTITY_LIMIT, status: 'pending', sub_row: SUB_ROWS_LIMIT, moved_to: null, transaction },
  });
  const place = { shard: SHARD_MAX, sub_row: SUB_ROWS_LIMIT };
  const transfer = { sku_id, transfer_id: 'f'.repeat(32), amount: STOCK_LIMIT, from: place, to: place };
  const transfers = Array.from({ length: SUB_ROWS_LIMIT }, (): NewTransfer => ({ direction: 'in', transfer }));
  return {
    flows: [{ was: flow('p'), is: flow('o') }],
    stockRows: [
      {
        ...{ sku_id, sub_row: SUB_ROWS_LIMIT, leaved: -STOCK_LIMIT, held: -STOCK_LIMIT },
        ...{ leavedMin: STOCK_LIMIT, totalMax: STOCK_LIMIT },
        ...{ mustBeOnSale: true, bringsNew: true, mustBeSellable: true, epoch: ATTEMPT_MAX },
      },
    ],
    returns: [{ sku_id, order_detail_id: id('d'), return_id: id('r'), quantity: QUANTITY_LIMIT }],
    adjustments: [{ sku_id, adjustment_id: id('a'), delta: -STOCK_LIMIT, reason: REASON }],
    transfers,
    completedHolds: [{ sku_id, order_detail_id: id('d'), order_id: id('o'), attempt: ATTEMPT_MAX, transaction }],
    records: [
      {
        ...transaction,
        ...{
          order_id: id('o'),
          lines: [{ sku_id, order_detail_id: id('d'), quantity: QUANTITY_LIMIT, shard: SHARD_MAX }],
        },
      },
    ],
  };
}

/** Length of values as the driver writes them into a statement: bytes as hexadecimal digits. */
export function packetBytesOf(values: readonly SqlValue[]): number {
  return values.reduce<number>((sum, value) => sum + textOf(value).length + ', '.length, 0);
}

function textOf(value: SqlValue): string {
  if (value instanceof Buffer) return `X'${value.toString('hex')}'`;
  if (typeof value === 'object' && value !== null && 'toSqlString' in value) return value.toSqlString();
  return JSON.stringify(value);
}
