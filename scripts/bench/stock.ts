import mysql from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { ShardConfig } from '../../src/config/shardsFile.ts';
import type { Goods } from './goods.ts';
import { shardOf } from './goods.ts';

/** The sums of the rows of one run's goods in the databases. */
export interface StockSums {
  readonly opening: number;
  readonly leaved: number;
  readonly held: number;
  /** Units of the stored flows, less returned units. */
  readonly deducted: number;
  readonly flowCount: number;
  /** The orders of the flows, by the number of the line in its order. */
  readonly lines: ReadonlyMap<string, LineSums>;
  /** SKUs whose stock rows together differ from their flows, and a count of SKUs if some are missing. */
  readonly differences: readonly string[];
}

/** The flows that are line 1 of their orders, or line 2, and so on. */
export interface LineSums {
  readonly count: number;
  /** The sum of the checksums of their order ids. */
  readonly checksum: number;
}

/** Direct access to the stock rows of a set of shards, without a gateway. */
export interface BenchStock {
  readonly shardCount: number;
  /** Inserts the stock rows of a run. */
  open(goods: Goods): Promise<void>;
  /** Reads them back, each shard in two statements. */
  read(goods: Goods): Promise<StockSums>;
  close(): Promise<void>;
}

const READ = `
SELECT s.*, COALESCE(f.deducted, 0) AS deducted, COALESCE(f.pending, 0) AS pending,
       COALESCE(f.flow_count, 0) AS flow_count
  FROM (SELECT sku_id, SUM(opening_amount) AS opening_amount, SUM(leaved_amount) AS leaved_amount,
               SUM(held_amount) AS held_amount, MIN(leaved_amount) AS leaved_least
          FROM stock WHERE sku_id >= ? AND sku_id < ? GROUP BY sku_id) s
  LEFT JOIN (SELECT sku_id, SUM(IF(status = 'pending', 0, quantity - returned)) AS deducted,
                    SUM(IF(status = 'pending', quantity, 0)) AS pending, COUNT(*) AS flow_count
               FROM flow WHERE sku_id >= ? AND sku_id < ? AND status <> 'void' GROUP BY sku_id) f
    ON f.sku_id = s.sku_id`;

/** The ids of the load generators end with the number of the line: `ORDER-1`, `ORDER-2`. */
const READ_LINES = `
SELECT SUBSTRING_INDEX(order_detail_id, '-', -1) AS line, COUNT(*) AS count, SUM(CRC32(order_id)) AS checksum
  FROM flow WHERE sku_id >= ? AND sku_id < ? AND status <> 'void' GROUP BY line`;

export async function openBenchStock(shards: readonly ShardConfig[]): Promise<BenchStock> {
  const connections = await Promise.all(shards.map(({ address }) => connectToShard(address)));
  const shardCount = shards.length;
  return {
    shardCount,
    async open({ sku_ids, openingOf }) {
      await Promise.all(
        connections.map(async (connection, shard) => {
          const rows = sku_ids
            .filter((sku_id) => shardOf(sku_id, shardCount) === shard)
            .map((sku_id) => [sku_id, 0, openingOf(sku_id), openingOf(sku_id)]);
          if (rows.length > 0)
            await connection.query('INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ?', [
              rows,
            ]);
        }),
      );
    },
    async read({ prefix, sku_ids }) {
      const range = [`${prefix}-`, `${prefix}.`];
      const onEach = async (sql: string, values: readonly string[]): Promise<RowDataPacket[]> =>
        (
          await Promise.all(connections.map((connection) => connection.query<RowDataPacket[]>(sql, [...values])))
        ).flatMap(([rows]) => rows);
      const rows = await onEach(READ, [...range, ...range]);
      return { ...standingOf(rows, sku_ids.length), lines: linesIn(await onEach(READ_LINES, range)) };
    },
    async close() {
      await Promise.all(connections.map((connection) => connection.end()));
    },
  };
}

export function connectToShard({ host, port, user, password, schema }: ShardConfig['address']): Promise<Connection> {
  return mysql.createConnection({ host, port, user, password, database: schema });
}

/** @param found a row for each SKU and shard; the rows of a split SKU are added up, because units move among them */
function standingOf(found: readonly RowDataPacket[], skuCount: number): Omit<StockSums, 'lines'> {
  const rows = [...groupBySku(found).values()];
  const sumOf = (some: readonly RowDataPacket[], column: string): number =>
    some.reduce((total, row) => total + Number(row[column]), 0);
  const sum = (column: string): number => sumOf(found, column);
  const isWrong = (ofSku: readonly RowDataPacket[]): boolean =>
    ofSku.some((row) => Number(row['leaved_least']) < 0 || Number(row['held_amount']) !== Number(row['pending'])) ||
    sumOf(ofSku, 'opening_amount') - sumOf(ofSku, 'leaved_amount') - sumOf(ofSku, 'held_amount') !==
      sumOf(ofSku, 'deducted');
  return {
    opening: sum('opening_amount'),
    leaved: sum('leaved_amount'),
    held: sum('held_amount'),
    deducted: sum('deducted'),
    flowCount: sum('flow_count'),
    differences: [
      ...rows.filter(isWrong).map(([row]) => String(row?.['sku_id'])),
      ...(rows.length === skuCount ? [] : [`${rows.length} of ${skuCount} SKUs`]),
    ],
  };
}

/** @param rows a row for each line number and shard */
function linesIn(rows: readonly RowDataPacket[]): Map<string, LineSums> {
  const lines = new Map<string, LineSums>();
  for (const row of rows) {
    const line = String(row['line']);
    const { count, checksum } = lines.get(line) ?? { count: 0, checksum: 0 };
    lines.set(line, { count: count + Number(row['count']), checksum: checksum + Number(row['checksum']) });
  }
  return lines;
}

function groupBySku(rows: readonly RowDataPacket[]): Map<string, RowDataPacket[]> {
  const groups = new Map<string, RowDataPacket[]>();
  for (const row of rows) {
    const sku_id = String(row['sku_id']);
    groups.set(sku_id, [...(groups.get(sku_id) ?? []), row]);
  }
  return groups;
}
