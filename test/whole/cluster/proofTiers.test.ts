import { expect } from 'chai';
import { startRedis } from '../../../scripts/cluster/redis/redis.ts';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';
import { enablePrecheckNow } from '../../../scripts/support/tiers.ts';
import { runRound } from '../../proof/round.ts';
import { startProofWorld } from '../../proof/world.ts';
import type { ProofWorld } from '../../proof/world.ts';
import { redisBench } from '../../support/systems/redisBench.ts';

const START_MS = 180_000;
const ROUND_MS = 120_000;
const hasReplicas =
  process.env['STOCKGATE_SERVER'] !== 'mariadb' &&
  process.env['STOCKGATE_MYSQL_SERVERS'] === undefined &&
  process.env['STOCKGATE_MYSQL_IMAGE'] === undefined;

/** A selection of rounds; `npm run test:faults -- --tiers memory,redis,replica` has the rest. */
const KINDS = ['none', 'redis-freeze', ...(hasReplicas ? ['replica-freeze'] : [])];

describe('proof bench with tiers', function () {
  this.timeout(ROUND_MS);
  let redis: RedisProcess | undefined;
  let stack: Stack | undefined;
  let world: ProofWorld;

  before(async function () {
    this.timeout(START_MS);
    const { command, directory } = await redisBench();
    redis = await startRedis(command, directory);
    stack = await startStack({
      servers: 1,
      dataDirectory: '.local',
      onProgress: () => undefined,
      ...(hasReplicas ? { replicas: 1 } : {}),
    });
    await enablePrecheckNow(stack);
    world = await startProofWorld(stack, 2, [], {
      tiers: hasReplicas ? 'memory,redis,replica' : 'memory,redis',
      redis,
    });
  });
  after(async () => {
    await world?.stop();
    await stack?.stop();
    await redis?.stop();
  });

  for (const [round, kind] of KINDS.entries()) {
    const seed = 200 + round;
    it(`is content with a round of ${kind}, seed ${seed}`, async () => {
      const result = await runRound(world, { kind, seed, trafficMs: 2_000, clients: 16, cartShare: 0.5 });
      expect(result.violations, `seed ${seed}`).to.deep.equal([]);
      expect(result.verdict).to.equal('content');
      const refusals = result.evidence.history.filter(
        (entry) => entry.kind === 'deduction' && entry.code === 'insufficient_stock',
      );
      expect(refusals.length, 'orders that were refused as short').to.be.above(20);
    });
  }
});
