import { setTimeout as sleep } from 'node:timers/promises';
import type { Cut } from '../support/wireProxy.ts';
import { sendResize } from './calls.ts';
import type { Scene } from './calls.ts';
import { ROW_COUNTS } from './goods.ts';
import type { Random } from './random.ts';
import type { GatewaySlot } from './slot.ts';
import { TIER_FAULTS } from './tierFaults.ts';
import type { World } from './world.ts';

/** One way to break the world. */
export interface Fault {
  readonly kind: string;
  /** False where the product at hand has no such thing. */
  readonly fits?: (product: string) => boolean;
  /** False where the world at hand lacks what is to be broken. */
  readonly needs?: (world: World) => boolean;
  /** Breaks something. @returns what mends it; it may take its time, and must be called */
  begin(world: World, random: Random, scene: Scene): Promise<() => Promise<void>>;
}

const aServer = (world: World, random: Random): number => random.whole(0, world.servers.length - 1);

function cutting(cut: Cut): Fault {
  return {
    kind: `cut-${cut}`,
    begin: async ({ proxies }, random) => {
      const share = random.pick([0.05, 0.2, 0.5]);
      const ends = proxies.map((proxy) => proxy.cutWhenever(cut, () => random.chance(share)));
      return async () => ends.forEach((end) => end());
    },
  };
}

/** A gateway that goes while it lays goods out otherwise, at whatever step. */
function resizing(kind: string, stop: (slot: GatewaySlot) => Promise<() => Promise<void>>): Fault {
  return {
    kind,
    begin: async ({ gateways }, random, scene) => {
      const slot = random.pick(gateways);
      const asked = scene.goods.split.map((sku_id) =>
        sendResize(scene, sku_id, random.pick(ROW_COUNTS), { through: slot }),
      );
      await sleep(random.whole(0, 60));
      const mend = await stop(slot);
      return async () => {
        await mend();
        await Promise.all(asked);
      };
    },
  };
}

/** Whether a fault can be done here. */
export function canBegin({ fits, needs }: Fault, world: World): boolean {
  return (fits?.(world.stack.cluster.product) ?? true) && (needs?.(world) ?? true);
}

/** Every kind, by name; a round of a kind has that one, a mix has several at once. */
export const FAULTS: readonly Fault[] = [
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
      const letGo = await random.pick(gateways).freeze();
      return async () => letGo();
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
  resizing('resizer-kill', async (slot) => {
    await slot.kill();
    return () => slot.replace();
  }),
  resizing('resizer-freeze', async (slot) => {
    const letGo = await slot.freeze();
    return async () => letGo();
  }),
  ...(['before', 'inside', 'after', 'half-reply', 'silent'] as const).map(cutting),
  {
    kind: 'blackhole',
    begin: async (world, random) => {
      const proxy = world.proxies[aServer(world, random)];
      proxy?.setSilent(true);
      return async () => {
        proxy?.setSilent(false);
        // A connection that lost an answer would hand it to the next question.
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
    // An address that moved by mistake: it answers, and it is another server.
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
    fits: (product) => product.startsWith('MySQL'),
    begin: async (world, random) => {
      const server = aServer(world, random);
      const session = await world.session(server);
      await session.query('SET GLOBAL super_read_only = 1');
      return async () => {
        session.destroy();
        await world.tell(server, 'SET GLOBAL super_read_only = 0', 'SET GLOBAL read_only = 0');
      };
    },
  },
  {
    kind: 'connection-limit',
    begin: async (world, random) => {
      const server = aServer(world, random);
      const session = await world.session(server);
      await session.query('SET GLOBAL max_connections = 12');
      // Whoever is in stays in; so everybody has to come in again.
      world.proxies[server]?.reset();
      return async () => {
        // The session that is there already, unless the server has been restarted and has its old limit again.
        await session
          .query('SET GLOBAL max_connections = 1000')
          .catch(() => world.tell(server, 'SET GLOBAL max_connections = 1000'));
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
      await slot.replace({
        NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(clockShift(random.pick([-1, 1]) * 3_600_000))}`,
      });
      return () => slot.replace();
    },
  },
  ...TIER_FAULTS,
];

/** A program that puts every way to ask for the time wrong by so much, but for the monotonic clock. */
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
