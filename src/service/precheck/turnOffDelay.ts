import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { RestockDelays } from '../../core/ports/restockDelays.ts';
import { pause } from '../../core/async/pause.ts';
import { errorText } from '../../core/text/errorText.ts';

/** The state of a shard afterwards. */
export interface DelayReport {
  readonly shard: ShardIndex;
  /**
   * `off`: turned off now. `was_off`: it was off before. `in_use`: a gateway with tiers serves the shard. `kept`: it is
   * on, because another shard is in use, or because the run only reads. `failed`: the shard did not answer.
   */
  readonly is: 'off' | 'was_off' | 'in_use' | 'kept' | 'failed';
  /** In milliseconds, as read first; null: it was not read. */
  readonly delayMs: number | null;
  /** Only with `failed`. */
  readonly reason?: string;
}

export interface TurnOffOptions {
  readonly delays: RestockDelays;
  readonly shardCount: number;
  /** False: only reads. */
  readonly apply: boolean;
  /** The longest wait for one shard, in milliseconds. */
  readonly shardMs: number;
  /** How long it waits for gateways with tiers to arm the disarmed shards again, in milliseconds. */
  readonly armWaitMs: number;
}

const POLL_MS = 1_000;

/**
 * Turns the restock delay off on all shards that answer, or on none.
 *
 * A gateway refuses early on what it read while the delay was on, so the delay must outlast the last such refusal.
 * First early refusals are ended, and the delay stays. A gateway with tiers reads that within `armWaitMs` and arms the
 * shard again: then the delay is in use, and stays on. When no gateway does so, none refuses early, and the delay is
 * turned off.
 */
export async function turnOffDelay(options: TurnOffOptions): Promise<readonly DelayReport[]> {
  const { delays, shardCount, apply, shardMs, armWaitMs } = options;
  const onEach = (reports: readonly DelayReport[], work: Work): Promise<DelayReport[]> =>
    Promise.all(reports.map(async (report) => (report.is === 'kept' ? applyTo(report, work, shardMs) : report)));
  const readFailures = Array.from({ length: shardCount }, (_, shard): DelayReport => ({
    shard,
    is: 'kept',
    delayMs: null,
  }));
  let reports = await onEach(readFailures, async (shard, untilMs) => {
    const { delayMs } = await delays.read(shard, untilMs);
    return { delayMs, is: delayMs === 0 ? 'was_off' : 'kept' };
  });
  if (!apply || !some(reports, 'kept')) return reports;
  reports = await onEach(reports, async (shard, untilMs) => {
    await delays.disarm(shard, untilMs);
    return {};
  });
  const noticedAtMs = performance.now() + armWaitMs;
  while (some(reports, 'kept') && !some(reports, 'in_use') && performance.now() < noticedAtMs) {
    await pause(POLL_MS);
    reports = await onEach(reports, async (shard, untilMs) => {
      const { isArmed } = await delays.read(shard, untilMs);
      return isArmed ? { is: 'in_use' } : {};
    });
  }
  if (some(reports, 'in_use')) return reports;
  return onEach(reports, async (shard, untilMs) => ({ is: (await delays.turnOff(shard, untilMs)) ? 'off' : 'in_use' }));
}

type Work = (shard: ShardIndex, untilMs: DeadlineMs) => Promise<Partial<DelayReport>>;

async function applyTo(report: DelayReport, work: Work, shardMs: number): Promise<DelayReport> {
  try {
    return { ...report, ...(await work(report.shard, performance.now() + shardMs)) };
  } catch (error) {
    return { ...report, is: 'failed', reason: errorText(error) };
  }
}

function some(reports: readonly DelayReport[], is: DelayReport['is']): boolean {
  return reports.some((report) => report.is === is);
}
