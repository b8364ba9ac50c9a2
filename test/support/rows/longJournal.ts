import type mysql from 'mysql2/promise';
import type { JournalEntry, JournalPosition } from '../../../src/core/books/journal.ts';
import { POINTERS_TIME } from '../../../src/mysql/sql/flows/pointers.ts';

/** The number of rows that a shard is filled with. */
export interface JournalSize {
  /** Flows of one SKU, an even number. */
  readonly busyFlows: number;
  readonly otherSkus: number;
  /** Flows of each other SKU. */
  readonly otherFlows: number;
  /** Pointers to flows on other shards, of a SKU with a few flows of its own. */
  readonly pointers: number;
}

export const BUSY = 'busy';
export const POINTED = 'pointed';
export const otherSku = (number: number): string => `other-${padded(number, 6)}`;

/** The number of a pair: two flows of one order, written at one moment. Pairs are numbered from 0 in time order. */
export type JournalPair = number;

/** The number of rows that one statement writes. */
const CHUNK = 100_000;
/** The flows of the SKU with pointers. */
export const FEW_FLOWS = 20;
/** A prime. It numbers the details as if at random, so the rows of one page are spread over the whole primary key. */
const SPREAD = 1_299_709;
const BEGIN = '2026-01-01';
/** One return per so many flows, and one adjustment per so many pairs. */
const RETURN_EVERY = 10;
const ADJUST_EVERY = 25;
const RETURNED_US = 500;
const ADJUSTED_US = 250;
const PAIR_US = 1_000;

/** The number of steps of `fillJournal`. */
export function stepsOf({ busyFlows, otherSkus, otherFlows, pointers }: JournalSize): number {
  const chunks = (rows: number): number => Math.ceil(rows / CHUNK);
  return (
    2 * (chunks(busyFlows) + chunks(otherSkus * otherFlows)) +
    chunks(busyFlows / 2 / ADJUST_EVERY) +
    chunks(otherSkus) +
    chunks(pointers) +
    1
  );
}

/**
 * Fills an empty shard with statements that run on the server alone. The books of its SKUs balance.
 *
 * The index of flows by time is built at the end, as a migration builds it on a full shard. Row by row it would take
 * the longest part of the time.
 *
 * @param onStep called after each of `stepsOf` steps
 */
export async function fillJournal(
  session: mysql.Connection,
  size: JournalSize,
  onStep: (label: string) => void,
): Promise<void> {
  const { busyFlows, otherSkus, otherFlows, pointers } = size;
  // No replica follows this server. An account that may not change the setting writes the log.
  await session.query('SET SESSION sql_log_bin = 0').catch(() => undefined);
  await session.query('CREATE TABLE numbers (n INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE = InnoDB');
  await session.query('INSERT INTO numbers VALUES (0)');
  for (let known = 1; known < CHUNK; known *= 2)
    await session.query(`INSERT INTO numbers SELECT n + ${known} FROM numbers WHERE n + ${known} < ${CHUNK}`);
  await session.query('ALTER TABLE flow DROP KEY by_time, ALGORITHM = INPLACE');

  /** Runs an INSERT once for every `CHUNK` rows; `n` is the number of the row. */
  const inChunks = async (label: string, rows: number, into: string, select: string, where = 'TRUE'): Promise<void> => {
    for (let from = 0; from < rows; from += CHUNK) {
      const count = Math.min(CHUNK, rows - from);
      const numbers = `(SELECT CAST(n + ${from} AS SIGNED) AS n FROM numbers WHERE n < ${count}) AS numbers`;
      await session.query(`INSERT INTO ${into} SELECT ${select} FROM ${numbers} WHERE ${where} ORDER BY n`);
      onStep(label);
    }
  };
  const moment = (us: string): string => `TIMESTAMP('${BEGIN}') + INTERVAL ${us} MICROSECOND`;
  const name = (prefix: string, number: string, width = 8): string =>
    `CONCAT('${prefix}', LPAD(${number}, ${width}, '0'))`;

  const pair = `(n * ${SPREAD} % ${busyFlows}) DIV 2`;
  const flowColumns = '(sku_id, order_detail_id, order_id, quantity, returned, created_at)';
  const returnColumns = '(sku_id, order_detail_id, return_id, quantity, created_at)';
  const isReturned = `n % ${RETURN_EVERY} = 0`;
  await inChunks(
    'flows',
    busyFlows,
    `flow ${flowColumns}`,
    `'${BUSY}', ${name('detail-', 'n')}, ${name('order-', pair)}, 1 + n % 3, ${isReturned},
     ${moment(`${pair} * ${PAIR_US}`)}`,
  );
  await inChunks(
    'returns',
    busyFlows,
    `flow_return ${returnColumns}`,
    `'${BUSY}', ${name('detail-', 'n')}, 'r', 1, ${moment(`${pair} * ${PAIR_US} + ${RETURNED_US}`)}`,
    isReturned,
  );
  const adjustments = busyFlows / 2 / ADJUST_EVERY;
  await inChunks(
    'adjustments',
    adjustments,
    'adjustment (sku_id, adjustment_id, delta, created_at)',
    `'${BUSY}', ${name('adjustment-', 'n')}, IF(n % 2, 3, -2),
     ${moment(`n * ${ADJUST_EVERY * PAIR_US} + ${ADJUSTED_US}`)}`,
  );

  const [sku, detail] = [name('other-', `n DIV ${otherFlows}`, 6), name('detail-', `n % ${otherFlows}`)];
  const otherTime = (more: number): string => moment(`n % ${otherFlows} * 7000000 + n DIV ${otherFlows} + ${more}`);
  await inChunks(
    'flows',
    otherSkus * otherFlows,
    `flow ${flowColumns}`,
    `${sku}, ${detail}, ${name('order-', 'n')}, 1, ${isReturned}, ${otherTime(0)}`,
  );
  await inChunks(
    'returns',
    otherSkus * otherFlows,
    `flow_return ${returnColumns}`,
    `${sku}, ${detail}, 'r', 1, ${otherTime(RETURNED_US)}`,
    isReturned,
  );
  const returnsBelow = (number: string): string => `CEIL((${number}) / ${RETURN_EVERY})`;
  const otherLeft = `${otherFlows} + ${returnsBelow(`(n + 1) * ${otherFlows}`)} - ${returnsBelow(`n * ${otherFlows}`)}`;
  const stockColumns = '(sku_id, sub_row, opening_amount, leaved_amount, created_at)';
  await inChunks(
    'SKUs',
    otherSkus,
    `stock ${stockColumns}`,
    `${name('other-', 'n', 6)}, 0, ${2 * otherFlows}, ${otherLeft}, '${BEGIN}'`,
  );

  await inChunks(
    'pointers',
    pointers,
    'flow (sku_id, order_detail_id, order_id, quantity, status, moved_to, created_at)',
    `'${POINTED}', ${name('elsewhere-', 'n')}, '', 0, 'moved', 0, '${POINTERS_TIME}'`,
  );
  await session.query(
    `INSERT INTO flow ${flowColumns}
     SELECT '${POINTED}', ${name('detail-', 'n')}, ${name('order-', 'n')}, 1, 0, ${moment('n')}
       FROM numbers WHERE n < ${FEW_FLOWS}`,
  );
  const rows = [
    [BUSY, openingOf(size), leftOf(size)],
    [POINTED, FEW_FLOWS, 0],
  ] as const;
  for (const [sku_id, opening, left] of rows)
    await session.query(`INSERT INTO stock ${stockColumns} VALUES ('${sku_id}', 0, ${opening}, ${left}, '${BEGIN}')`);

  await session.query('ALTER TABLE flow ADD KEY by_time (sku_id, created_at), ALGORITHM = INPLACE, LOCK = NONE');
  await session.query('DROP TABLE numbers');
  await session.query('ANALYZE TABLE flow, flow_return, adjustment, stock');
  onStep('index');
}

/** Enough units for all of its flows. */
function openingOf({ busyFlows }: JournalSize): number {
  return 3 * busyFlows;
}

/** The units left of the busy SKU. */
export function leftOf(size: JournalSize): number {
  const { busyFlows } = size;
  let left = openingOf(size);
  for (let n = 0; n < busyFlows; n += 1) left -= quantityOf(n) - (n % RETURN_EVERY === 0 ? 1 : 0);
  for (let n = 0; n < busyFlows / 2 / ADJUST_EVERY; n += 1) left += n % 2 === 0 ? -2 : 3;
  return left;
}

/**
 * The journal of the busy SKU, newest entry first, of all pairs before `before`.
 *
 * @param before absent: the whole journal
 */
export function* entriesOf(size: JournalSize, before: JournalPair = size.busyFlows / 2): Generator<JournalEntry, void> {
  for (let pair = before - 1; pair >= 0; pair -= 1) {
    const numbers = detailsOf(size, pair);
    const order_id = `order-${padded(pair, 8)}`;
    for (const n of numbers.filter((number) => number % RETURN_EVERY === 0)) {
      yield {
        kind: 'return',
        return_id: 'r',
        order_id,
        order_detail_id: detailOf(n),
        quantity: 1,
        effect: 1,
        created_at: momentOf(pair, RETURNED_US),
      };
    }
    if (pair % ADJUST_EVERY === 0) {
      const number = pair / ADJUST_EVERY;
      const effect = number % 2 === 0 ? -2 : 3;
      yield {
        kind: 'adjustment',
        adjustment_id: `adjustment-${padded(number, 8)}`,
        reason: null,
        quantity: Math.abs(effect),
        effect,
        created_at: momentOf(pair, ADJUSTED_US),
      };
    }
    for (const n of numbers) {
      yield {
        kind: 'deduction',
        order_id,
        order_detail_id: detailOf(n),
        quantity: quantityOf(n),
        effect: -quantityOf(n),
        created_at: momentOf(pair, 0),
      };
    }
  }
  yield { kind: 'opening', quantity: openingOf(size), effect: openingOf(size), created_at: momentOf(0, 0) };
}

/** The last entry of a pair, where a page ends that shows the whole pair. */
export function endOf(size: JournalSize, pair: JournalPair): JournalPosition {
  return { created_at: momentOf(pair, 0), journal: 'flow', ids: [detailOf(Math.min(...detailsOf(size, pair))), ''] };
}

/** The numbers of the details of a pair, in the order of the journal. */
function detailsOf({ busyFlows }: JournalSize, pair: JournalPair): number[] {
  const inverse = inverseOf(SPREAD % busyFlows, busyFlows);
  return [2 * pair, 2 * pair + 1].map((rank) => (rank * inverse) % busyFlows).sort((a, b) => b - a);
}

const inverses = new Map<number, number>();

/** The inverse of `factor`, modulo `modulus`. */
function inverseOf(factor: number, modulus: number): number {
  const known = inverses.get(modulus);
  if (known !== undefined) return known;
  let [a, b, x, y] = [factor, modulus, 1, 0];
  while (b > 0) {
    const times = Math.floor(a / b);
    [a, b, x, y] = [b, a - times * b, y, x - times * y];
  }
  if (a !== 1) throw new RangeError(`${factor} has no inverse modulo ${modulus}`);
  const inverse = ((x % modulus) + modulus) % modulus;
  inverses.set(modulus, inverse);
  return inverse;
}

function quantityOf(n: number): number {
  return 1 + (n % 3);
}

function detailOf(n: number): string {
  return `detail-${padded(n, 8)}`;
}

function momentOf(pair: JournalPair, us: number): string {
  const all = pair * PAIR_US + us;
  const ms = new Date(Date.parse(`${BEGIN}T00:00:00Z`) + Math.floor(all / 1_000)).toISOString().slice(0, -1);
  return `${ms}${padded(all % 1_000, 3)}Z`;
}

function padded(number: number, width: number): string {
  return String(number).padStart(width, '0');
}
