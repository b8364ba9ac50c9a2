import type { RedisProcess } from '../../scripts/cluster/redis/redis.ts';
import { askServer } from '../support/systems/precheckGateway.ts';
import type { BenchFault } from './benchFault.ts';
import type { ProofWorld } from './world.ts';

/** A fault of Redis, for worlds that have one. */
function toRedis(
  kind: string,
  begin: (redis: RedisProcess) => Promise<unknown>,
  end: (redis: RedisProcess) => Promise<unknown> = () => Promise.resolve(),
): BenchFault {
  return {
    kind,
    hasTarget: ({ redis }) => redis !== null,
    begin: async ({ redis }) => {
      if (redis === null) throw new Error('there is no Redis');
      await begin(redis);
      return async () => void (await end(redis));
    },
  };
}

function toReplicas(
  kind: string,
  begin: (replica: ProofWorld['replicas'][number]) => Promise<unknown>,
  end: (replica: ProofWorld['replicas'][number]) => Promise<unknown>,
): BenchFault {
  return {
    kind,
    hasTarget: ({ replicas }) => replicas.length > 0,
    begin: async ({ replicas }) => {
      await Promise.all(replicas.map(begin));
      return async () => void (await Promise.all(replicas.map(end)));
    },
  };
}

/** Overwrites every value with one that would cause refusals if it were accepted. */
async function overwrite(redis: RedisProcess): Promise<void> {
  for (const key of (await redis.ask('KEYS', '*')) as string[]) {
    await redis.ask('SET', key, JSON.stringify({ leaved_amount: 0, isEmpty: true, version: 9e15 }));
  }
}

/** The faults of the tiers that refuse early. */
export const TIER_FAULTS: readonly BenchFault[] = [
  toRedis(
    'redis-kill',
    async (redis) => redis.signal('SIGKILL'),
    (redis) => redis.startAgain(),
  ),
  toRedis(
    'redis-freeze',
    async (redis) => redis.signal('SIGSTOP'),
    async (redis) => redis.signal('SIGCONT'),
  ),
  toRedis('redis-flush', (redis) => redis.ask('FLUSHALL')),
  toRedis('redis-nonsense', overwrite, overwrite),
  toReplicas(
    'replica-stop',
    (replica) => askServer(replica, 'STOP REPLICA SQL_THREAD'),
    (replica) => askServer(replica, 'START REPLICA SQL_THREAD'),
  ),
  toReplicas(
    'replica-freeze',
    async (replica) => replica.signal('SIGSTOP'),
    async (replica) => replica.signal('SIGCONT'),
  ),
  toReplicas(
    'replica-kill',
    async (replica) => replica.signal('SIGKILL'),
    (replica) => replica.start(),
  ),
];
