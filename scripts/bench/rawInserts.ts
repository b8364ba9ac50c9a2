import type { ShardConfig } from '../../src/shardsFile.ts';
import { cpuSeconds } from './cpu.ts';
import { percentile } from './load/latencies.ts';
import { connectTo } from './shelves.ts';
import { spreadOf } from './statistics.ts';

/** What the database alone takes for rows like those of a deduction. */
export interface RawInserts {
  readonly rows: number;
  readonly rowsPerSecond: number;
  /** Of an INSERT of 64 rows and its commit, durable. */
  readonly medianBatchMs: number;
  /** What the slowest in a hundred of them take: a latency has that in it. */
  readonly p99BatchMs: number;
  /** The same for who comes at any moment, waits for the batch on its way and then for his own: as latency is made. */
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

/** Inserts 64 flows at a time, each batch committed by itself, one after the other on one connection. */
export async function rawInserts({ address, serverPid, sku_id, seconds }: RawOptions): Promise<RawInserts> {
  const connection = await connectTo(address);
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
      p99BatchMs: percentile(
        batchesMs.sort((a, b) => a - b),
        0.99,
      ),
      serverMicrosPerRow: cpuBefore === null || cpuAfter === null ? null : ((cpuAfter - cpuBefore) * 1e6) / rows,
    };
  } finally {
    await connection.end();
  }
}

const EVERY_MS = 0.05;

/** @param batchesMs in the order in which they were; slow ones are met by more, because more time lies in them */
export function p99OfTwo(batchesMs: readonly number[]): number {
  const waits: number[] = [];
  for (const [index, ownMs] of batchesMs.slice(1).entries()) {
    for (let restMs = batchesMs[index] ?? 0; restMs > 0; restMs -= EVERY_MS) waits.push(restMs + ownMs);
  }
  return percentile(
    waits.sort((a, b) => a - b),
    0.99,
  );
}

/** Ids as long as those that the load generators make. */
function insertOf(sku_id: string, from: number): string {
  const values = Array.from({ length: ROWS_PER_BATCH }, (_, row) => {
    const id = `${sku_id}-${String(from + row).padStart(8, '0')}`;
    return `('${sku_id}','${id}-1','${id}',1,0,1)`;
  });
  return `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ${values.join(',')}`;
}
