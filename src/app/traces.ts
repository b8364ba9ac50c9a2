import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Tracer } from '../core/ports/tracer.ts';
import { atMostEvery } from '../log.ts';

/** At most one error of the collector is logged in this time. */
const LOG_EVERY_MS = 10_000;

/** Starts to export traces to the configured collector. @returns null, and loads no SDK, when none is configured */
export async function createTracer(
  { traces, shards }: Pick<Config, 'traces' | 'shards'>,
  log: Logger,
): Promise<Tracer | null> {
  if (traces === null) return null;
  const { startTracing } = await import('../tracing/openTelemetry.ts');
  return startTracing({
    ...traces,
    instance: randomUUID(),
    shardName: (shard) => shards[shard]?.name ?? String(shard),
    onSpansLost: atMostEvery<string>(
      LOG_EVERY_MS,
      () => 'all',
      (reason, alike) => log.warn({ reason, alike }, 'spans are lost'),
    ),
  });
}
