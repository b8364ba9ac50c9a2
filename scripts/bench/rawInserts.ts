import type { ShardConfig } from '../../src/config/shardsFile.ts';
import { cpuSeconds } from './cpu.ts';
import { ascending, percentile } from '../support/latencies.ts';
import { connectToShard } from './stock.ts';
import { spreadOf } from './report/statistics.ts';

/** The cost of rows like those of a deduction in the database alone. */
export interface RawInserts {
  readonly rows: number;
  readonly rowsPerSecond: number;
  /** The median time of a durable INSERT of 64 rows with its commit. */
  readonly medianBatchMs: number;
  /** The 99th percentile of that time, which is a part of every latency. */
  readonly p99BatchMs: number;
  /** The same for a request at a random moment: it waits for the rest of the running batch, then for its own batch. */
  readonly p99TwoBatchesMs: number;
  /** CPU of the server per row; null where its process is not ours. */
  readonly serverMicrosPerRow: number | null;
}

const ROWS_PER_BATCH = 64;

export interface RawOptions {
  readonly address: ShardConfig['address'];
  readonly serverPid: number | undefined;
  /** A SKU that no run sells; it has no stock row. */
  readonly sku_id: string;
  readonly seconds: number;
}

/** Inserts batches of 64 flows one after the other on one connection, each with its own commit. */
export async function rawInserts({ address, serverPid, sku_id, seconds }: RawOptions): Promise<RawInserts> {
  const connection = await connectToShard(address);
  try {
    const batchesMs: number[] = [];
    const cpuBefore = cpuSeconds(serverPid);
    const startMs = performance.now();
    let nowMs = startMs;
    for (let rows = 0; nowMs - startMs < seconds * 1_000; rows += ROWS_PER_BATCH) {
      const sql = insertOf(sku_id, rows);
      const sentMs = performance.now();
      await connection.query(sql);
      nowMs = performance.now();
      batchesMs.push(nowMs - sentMs);
    }
    const cpuAfter = cpuSeconds(serverPid);
    const rows = batchesMs.length * ROWS_PER_BATCH;
    return {
      rows,
      rowsPerSecond: (rows * 1_000) / (nowMs - startMs),
      medianBatchMs: spreadOf(batchesMs)?.median ?? 0,
      p99TwoBatchesMs: p99OfTwo(batchesMs),
      p99BatchMs: percentile(ascending(batchesMs), 0.99),
      serverMicrosPerRow: cpuBefore === null || cpuAfter === null ? null : ((cpuAfter - cpuBefore) * 1e6) / rows,
    };
  } finally {
    await connection.end();
  }
}

const EVERY_MS = 0.05;

/** @param batchesMs in their order in time. A slow batch weighs more: more random moments lie in it. */
export function p99OfTwo(batchesMs: readonly number[]): number {
  const waits: number[] = [];
  for (const [index, ownMs] of batchesMs.slice(1).entries()) {
    for (let restMs = batchesMs[index] ?? 0; restMs > 0; restMs -= EVERY_MS) waits.push(restMs + ownMs);
  }
  return percentile(ascending(waits), 0.99);
}

/** The ids are as long as those of the load generators. */
function insertOf(sku_id: string, from: number): string {
  const values = Array.from({ length: ROWS_PER_BATCH }, (_, row) => {
    const id = `${sku_id}-${String(from + row).padStart(8, '0')}`;
    return `('${sku_id}','${id}-1','${id}',1,0,1)`;
  });
  return `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ${values.join(',')}`;
}
