import type { Config } from '../config/config.ts';
import type { JournalReader } from '../core/ports/journalReader.ts';
import type { ShardOverview } from '../core/ports/shardOverview.ts';
import type { AdminServices } from '../http/adminRoutes.ts';
import type { PublicServices } from '../http/publicRoutes.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { ShardAuditor } from '../mysql/books/auditor.ts';
import { openReportShards } from '../mysql/books/reportShards.ts';
import { cancelOrder } from '../service/orders/cancelOrder.ts';
import { changeStock } from '../service/stock/changeStock.ts';
import { deductOrder } from '../service/orders/deductOrder.ts';
import { resizeSku } from '../service/hot/resize.ts';
import { hottestSkus } from '../service/hot/hottestSkus.ts';
import { lookUpLines } from '../service/orders/lookUpLines.ts';
import { openSku } from '../service/stock/openSku.ts';
import type { ServicePorts } from '../service/servicePorts.ts';
import { deductUnlessSoldOut } from '../service/precheck/deductUnlessSoldOut.ts';
import { readFlows } from '../service/orders/readFlows.ts';
import { readSku } from '../service/stock/readSku.ts';
import { reconcile } from '../service/reconcile/reconcile.ts';
import { returnUnits } from '../service/orders/returnUnits.ts';
import { tracedPorts } from '../service/tracedPorts.ts';
import type { Tiers } from './tiers.ts';
import type { Siblings } from '../workers/siblings.ts';

/** A reconciliation adds up whole shards, so its statements may take longer than those of a request. */
const BOOKS_STATEMENT_MS = 30_000;

/** The ports and settings of the use cases behind both listeners. */
export interface UseCaseOptions {
  readonly config: Config;
  readonly ports: ServicePorts;
  readonly tiers: Tiers;
  readonly metrics: Metrics;
  readonly siblings: Siblings;
  readonly shards: ShardOverview;
  readonly journal: JournalReader;
  /** Whether the gateway itself accepts requests, apart from the state of its shards. */
  isReady(): boolean;
  description(): string;
}

/** The use cases behind the public listener. */
export function publicUseCases({ ports, tiers, journal }: UseCaseOptions): PublicServices {
  const { precheck } = tiers;
  return {
    deductOrder: (order, deadlineMs, trace) => {
      const traced = tracedPorts(ports, trace);
      return precheck === null
        ? deductOrder(traced, order, deadlineMs)
        : deductUnlessSoldOut(traced, precheck, order, deadlineMs);
    },
    async returnGoods(operation, deadlineMs, trace) {
      const answer = await returnUnits(tracedPorts(ports, trace), operation, deadlineMs);
      if (answer.is === 'returned') precheck?.noteIncrease(operation.sku_id);
      return answer;
    },
    async cancelOrder(cancellation, deadlineMs, trace) {
      const answer = await cancelOrder(tracedPorts(ports, trace), cancellation, deadlineMs);
      if (answer.is === 'applied' && precheck !== null)
        for (const sku_id of new Set(cancellation.lines.map((line) => line.sku_id))) precheck.noteIncrease(sku_id);
      return answer;
    },
    lookUpLines: (keys, deadlineMs, trace) => lookUpLines(tracedPorts(ports, trace), keys, deadlineMs),
    readSku: (sku_id, deadlineMs, trace) => readSku(tracedPorts(ports, trace), sku_id, deadlineMs),
    available: (sku_ids, consistency, deadlineMs) => tiers.findAvailability(sku_ids, consistency, deadlineMs),
    readFlows: (query, deadlineMs) => readFlows({ ...ports, journal }, query, deadlineMs),
  };
}

/** The use cases behind the admin listener. */
export function adminUseCases({
  config,
  ports,
  tiers,
  metrics,
  siblings,
  shards,
  isReady,
  description,
}: UseCaseOptions): AdminServices {
  const { routing, hot, backgroundTasks, hotKeys } = ports;
  return {
    async reconcile(sku_id, deadlineMs) {
      const release = await siblings.takeReconcileLease();
      if (release === null) return { is: 'busy' };
      const books = openReportShards({ ...config, statementMs: BOOKS_STATEMENT_MS });
      try {
        const auditor = new ShardAuditor(books.shards);
        const result = await reconcile(
          { routing, auditor, reader: ports.reader },
          { shardCount: config.shards.length, sku_id, deadlineMs },
        );
        // A reconciliation that could not read all shards may raise the alarm, but not clear it.
        if (
          result.is === 'reconciled' &&
          sku_id === null &&
          (result.differences.length > 0 || result.shards.every(({ fault }) => fault === null))
        )
          metrics.reconciled(result.differences.length);
        return result;
      } finally {
        books.close();
        release();
      }
    },
    async openSku(operation, deadlineMs, trace) {
      const answer = await openSku(tracedPorts(ports, trace), operation, deadlineMs);
      if (answer.is === 'opened' && !answer.replayed) tiers.precheck?.noteIncrease(operation.sku_id);
      return answer;
    },
    async changeStock(operation, deadlineMs, trace) {
      const answer = await changeStock(tracedPorts(ports, trace), operation, deadlineMs);
      if (answer.is === 'applied') tiers.precheck?.noteIncrease(operation.sku_id);
      return answer;
    },
    async resizeSku(sku_id, sub_row_count, deadlineMs) {
      const resized = await resizeSku(hot, sku_id, sub_row_count, deadlineMs);
      // In the background, after the answer: units move to new rows, pointers are written and old rows are emptied.
      if (resized.is === 'resized' && !resized.replayed) backgroundTasks.add(() => hot.maintainer.maintain(sku_id));
      return resized;
    },
    shards: () => shards.shards(),
    replicasOf: (shard) => tiers.replicasOf(shard),
    hottest: () => hottestSkus(hotKeys, config.hotLinesPerSecond),
    slotCounts: () => routing.map.slotCounts(),
    readiness: () => ({
      ready: isReady() && shards.shards().some(({ state }) => state === 'serving'),
      durable: shards.shards().every(({ state, durable }) => state !== 'serving' || durable === true),
    }),
    metrics: () => siblings.metricsPage(() => metrics.scrape()),
    description,
  };
}
