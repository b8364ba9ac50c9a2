import type { BatchOperation } from '../../core/ledger/decide.ts';
import { SUB_ROWS_LIMIT } from '../../core/hot/layout.ts';
import type { LedgerFlow, NewTransfer, WriteSet } from '../../core/ledger/ledger.ts';
import { LINES_LIMIT, QUANTITY_LIMIT, STOCK_LIMIT } from '../../core/types.ts';
import type { SqlValue } from '../connection/connection.ts';
import { partValues } from '../sql/batch/applyBatch.ts';

/**
 * The most lines in a batch, which is also the default: more add latency and no speed. An order with more lines is sent
 * alone.
 */
export const LINES_MAX = 1_536;
/** The most operations in a batch, besides decisions and completions: orders of one line gain nothing from more. */
export const OPERATIONS_MAX = 512;
/** So many of the longest lines fit into the longest packet. */
export const LONGEST_LINES_MAX = 512;

const ID_BYTES_MAX = 64;
/** A reason has 255 characters at most, of four bytes each in UTF-8. */
const REASON = '\u{10ffff}'.repeat(255);
const ATTEMPT_MAX = 2 ** 32 - 1;
const SHARD_MAX = 1_023;
const DEADLINE = '2026-11-20 10:00:00.000000';
/** `START TRANSACTION`, `COMMIT`, a `CALL` and the lock of a row, with a schema of 64 characters: a shard, in bytes. */
const STATEMENT_BYTES = 640;

const NOTHING: WriteSet = {
  ...{ flows: [], stockRows: [], returns: [], adjustments: [] },
  ...{ transfers: [], completedHolds: [], records: [] },
};

const id = (letter: string): string => letter.repeat(ID_BYTES_MAX);

const LINE_BYTES_MAX = STATEMENT_BYTES + packetBytesOf(partValues(DEADLINE, [id('s')], longestLine()));

/**
 * The longest packet that a gateway sends to a server, in bytes. Batches are the longest packets, and end before this
 * bound. One order of `LINES_LIMIT` lines always fits. Each line counts as a part of its own with the longest row of
 * every kind, and with transfers from every row of its SKU. Rows are measured as `partValues` writes them, so the bound
 * follows the format.
 */
export const LARGEST_PACKET_BYTES = Math.max(LONGEST_LINES_MAX, LINES_LIMIT) * LINE_BYTES_MAX;

const ADJUSTMENT_BYTES = bytesOf({ adjustments: longestLine().adjustments });
const TRANSFER_BYTES = bytesOf({ transfers: longestLine().transfers.slice(0, 1) });
const RECORD_LINE_BYTES = bytesOf({ records: longestLine().records });
const PLAIN_LINE_BYTES =
  LINE_BYTES_MAX - bytesOf({ ...longestLine(), flows: [], returns: [], stockRows: [], completedHolds: [] });

/** The longest rows that an operation writes on its shard, in bytes. It does not depend on the lengths of the ids. */
export function operationBytesMax(operation: BatchOperation): number {
  const lines = 'lines' in operation ? operation.lines.length : 1;
  const credits = 'credits' in operation ? (operation.credits?.length ?? 0) : 0;
  const transfers = operation.kind === 'send' || operation.kind === 'receive' ? 1 : credits;
  const recorded = operation.kind === 'deduct' ? (operation.record?.length ?? 0) : 0;
  const adjustments = operation.kind === 'adjust' ? 1 : 0;
  return (
    lines * PLAIN_LINE_BYTES +
    transfers * TRANSFER_BYTES +
    recorded * RECORD_LINE_BYTES +
    adjustments * ADJUSTMENT_BYTES
  );
}

function bytesOf(rows: Partial<WriteSet>): number {
  return packetBytesOf(partValues(DEADLINE, [], { ...NOTHING, ...rows }));
}

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
