import { setTimeout as sleep } from 'node:timers/promises';
import type { Cut } from '../support/wire/wireProxy.ts';
import { sendResize } from './calls.ts';
import type { Scene } from './calls.ts';
import { newOrder } from './newOrders.ts';
import { pickOnDifferentServers, ROW_COUNTS } from './skus.ts';
import type { Random } from './random.ts';
import type { GatewaySlot } from './slot.ts';
import type { BenchFault } from './benchFault.ts';
import { TIER_FAULTS } from './tierFaults.ts';
import type { ProofWorld } from './world.ts';

/** Orders over several servers that a gateway has under way when it is stopped. */
const ORDERS_AT_STOP = 12;

const aServer = (world: ProofWorld, random: Random): number => random.whole(0, world.servers.length - 1);

function cutting(cut: Cut): BenchFault {
  return {
    kind: `cut-${cut}`,
    begin: async ({ proxies }, random) => {
      const share = random.pick([0.05, 0.2, 0.5]);
      const ends = proxies.map((proxy) => proxy.cutWhenever(cut, () => random.chance(share)));
      return async () => ends.forEach((end) => end());
    },
  };
}

/** Requests that a gateway carries out at the moment when it is stopped. */
type Work = (slot: GatewaySlot, random: Random, scene: Scene) => Promise<unknown>[];

const resize: Work = (slot, random, scene) =>
  scene.goods.split.map((sku_id) => sendResize(scene, sku_id, random.pick(ROW_COUNTS), { through: slot }));

const sell: Work = (slot, random, scene) =>
  Array.from({ length: ORDERS_AT_STOP }, () =>
    newOrder(scene, pickOnDifferentServers(scene.goods, random), { through: slot }),
  );

/** A gateway that is stopped during some work, at a random step. */
function stopped(kind: string, work: Work, stop: (slot: GatewaySlot) => Promise<() => Promise<void>>): BenchFault {
  return {
    kind,
    begin: async ({ gateways }, random, scene) => {
      const slot = random.pick(gateways);
      const sent = work(slot, random, scene);
      await sleep(random.whole(0, 60));
      const repair = await stop(slot);
      return async () => {
        await repair();
        await Promise.all(sent);
      };
    },
  };
}

const kill = async (slot: GatewaySlot): Promise<() => Promise<void>> => {
  await slot.kill();
  return () => slot.replace();
};

const freeze = async (slot: GatewaySlot): Promise<() => Promise<void>> => {
  const resume = await slot.freeze();
  return async () => resume();
};

/** Whether a fault can be injected in this world. */
export function canBegin({ fitsProduct, hasTarget }: BenchFault, world: ProofWorld): boolean {
  return (fitsProduct?.(world.stack.cluster.product) ?? true) && (hasTarget?.(world) ?? true);
}

/** Every kind of fault, by name. A round of a kind injects that one; a mix injects several at once. */
export const BENCH_FAULTS: readonly BenchFault[] = [
  { kind: 'none', begin: async () => async () => undefined },
  {
    kind: 'mysqld-kill',
    begin: async (world, random) => {
      const server = world.servers[aServer(world, random)];
      server?.signal('SIGKILL');
      return async () => server?.start();
    },
  },
  {
    kind: 'mysqld-freeze',
    begin: async (world, random) => {
      const server = world.servers[aServer(world, random)];
      server?.signal('SIGSTOP');
      return async () => server?.signal('SIGCONT');
    },
  },
  {
    kind: 'gateway-kill',
    begin: async ({ gateways }, random) => {
      const slot = random.pick(gateways);
      await slot.kill();
      return () => slot.replace();
    },
  },
  {
    kind: 'gateway-freeze',
    begin: async ({ gateways }, random) => {
      const resume = await random.pick(gateways).freeze();
      return async () => resume();
    },
  },
  {
    kind: 'gateway-restart',
    begin: async ({ gateways }) => {
      const rolling = (async () => {
        for (const slot of gateways) await slot.replace();
      })();
      rolling.catch(() => undefined);
      return () => rolling;
    },
  },
  stopped('resizer-kill', resize, kill),
  stopped('resizer-freeze', resize, freeze),
  stopped('seller-kill', sell, kill),
  stopped('seller-freeze', sell, freeze),
  ...(['before', 'inside', 'after', 'half-reply', 'silent'] as const).map(cutting),
  {
    kind: 'blackhole',
    begin: async (world, random) => {
      const proxy = world.proxies[aServer(world, random)];
      proxy?.setSilent(true);
      return async () => {
        proxy?.setSilent(false);
        // A connection that lost an answer would deliver it as the answer to its next request.
        proxy?.reset();
      };
    },
  },
  {
    kind: 'delay',
    begin: async ({ proxies }, random) => {
      const delayMs = random.pick([5, 50, 300]);
      for (const proxy of proxies) proxy.setDelayMs(delayMs);
      return async () => proxies.forEach((proxy) => proxy.setDelayMs(0));
    },
  },
  {
    kind: 'hold-back',
    begin: async (world, random) => {
      const proxy = world.proxies[aServer(world, random)];
      proxy?.setHeld(true);
      return async () => proxy?.setHeld(false);
    },
  },
  {
    // An address that leads to another server by mistake: that server answers.
    kind: 'swap-backend',
    begin: async (world, random) => {
      const server = aServer(world, random);
      const proxy = world.proxies[server];
      proxy?.retarget(world.servers[(server + 1) % world.servers.length] ?? null);
      proxy?.reset();
      return async () => {
        proxy?.retarget(null);
        proxy?.reset();
      };
    },
  },
  {
    kind: 'reset',
    begin: async ({ proxies }, random) => {
      let running = true;
      const resetting = (async () => {
        while (running) {
          random.pick(proxies).reset();
          await sleep(random.whole(50, 300));
        }
      })();
      return async () => {
        running = false;
        await resetting;
      };
    },
  },
  {
    kind: 'read-only',
    fitsProduct: (product) => product.startsWith('MySQL'),
    begin: async (world, random) => {
      const server = aServer(world, random);
      const session = await world.session(server);
      await session.query('SET GLOBAL super_read_only = 1');
      return async () => {
        session.destroy();
        await world.runOn(server, 'SET GLOBAL super_read_only = 0', 'SET GLOBAL read_only = 0');
      };
    },
  },
  {
    kind: 'connection-limit',
    begin: async (world, random) => {
      const server = aServer(world, random);
      const session = await world.session(server);
      await session.query('SET GLOBAL max_connections = 12');
      // The limit does not close connections that are open, so all of them are reset and must be opened again.
      world.proxies[server]?.reset();
      return async () => {
        // By the open session, because a new one may exceed the limit. A restarted server has its old limit again.
        await session
          .query('SET GLOBAL max_connections = 1000')
          .catch(() => world.runOn(server, 'SET GLOBAL max_connections = 1000'));
        session.destroy();
      };
    },
  },
  {
    kind: 'locked-rows',
    begin: async (world, random) => {
      const shard = random.whole(0, world.stack.shards.length - 1);
      const session = await world.session(world.serverOf(shard), shard);
      await session.query('SET SESSION innodb_lock_wait_timeout = 1');
      await session.beginTransaction();
      await session.query('SELECT * FROM stock FOR UPDATE').catch(() => undefined);
      return async () => {
        session.destroy();
      };
    },
  },
  {
    kind: 'clock',
    begin: async ({ gateways }, random) => {
      const slot = random.pick(gateways);
      const shift = encodeURIComponent(clockShift(random.pick([-1, 1]) * 3_600_000));
      await slot.replace({ NODE_OPTIONS: `--import data:text/javascript,${shift}` });
      return () => slot.replace();
    },
  },
  ...TIER_FAULTS,
];

/** A program that shifts every clock of a process by so many milliseconds, except the monotonic one. */
export function clockShift(ms: number): string {
  return `
    const Real = globalThis.Date;
    const now = () => Real.now() + ${ms};
    globalThis.Date = new Proxy(Real, {
      construct: (target, given, asked) => Reflect.construct(target, given.length === 0 ? [now()] : given, asked),
      apply: () => new Real(now()).toString(),
      get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    });`;
}
