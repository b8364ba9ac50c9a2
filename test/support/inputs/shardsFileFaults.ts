import type { ShardsFile } from '../../../src/config/shardsFile.ts';

/** The password that every shard of these files names. */
export const PASSWORD = 'pass-word-of-a-shard';

/** A shards file without faults. */
export function validFile(): ShardsFile {
  return {
    initialShards: 4,
    shards: Array.from({ length: 4 }, (_, shard) => ({
      name: `shard-${shard}`,
      primary: {
        host: 'db.example',
        port: 3306,
        schema: `stock_${shard}`,
        user: 'shop',
        passwordVariable: 'SHOP_PASSWORD',
      },
      pool: { connections: 8, waiting: 100 },
    })),
  };
}

export const REPLICA = { host: 'db.example', port: 3307, user: 'reader', passwordVariable: 'SHOP_PASSWORD' };

/** A shards file without type checks, as a user may write it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Draft = any;

/** Changes that make the file wrong, and the fault that each must cause. */
export const SHARDS_FILE_FAULTS: readonly [what: string, change: (draft: Draft) => void, fault: string][] = [
  [
    'a number written as text',
    (draft) => (draft.shards[3].primary.port = '3306'),
    'shards[3].primary.port: must be a whole number from 1 to 65535, found "3306"',
  ],
  [
    'an invalid port',
    (draft) => (draft.shards[3].primary.port = 70_000),
    'shards[3].primary.port: must be a whole number from 1 to 65535, found 70000',
  ],
  [
    'a pool without connections',
    (draft) => (draft.shards[0].pool.connections = 0),
    'shards[0].pool.connections: must be a whole number from 1 to 1000, found 0',
  ],
  ['an unknown field', (draft) => (draft.shards[1].weight = 2), 'shards[1].weight: is not a known field'],
  ['a missing field', (draft) => delete draft.shards[2].pool.waiting, 'shards[2].pool.waiting: is required'],
  [
    'a password in the file',
    (draft) => (draft.shards[0].primary.password = PASSWORD),
    'shards[0].primary.password: is not a known field',
  ],
  [
    'a schema name with a quote',
    (draft) => (draft.shards[0].primary.schema = 'a`b'),
    'shards[0].primary.schema: must be 1 to 64 letters, digits or underscores, found "a`b"',
  ],
  ['no shards', (draft) => (draft.shards = []), 'shards: must be a list of 1 to 1024 items, found 0 items'],
  ['a name twice', (draft) => (draft.shards[2].name = 'shard-0'), 'shards[2].name: is the same as shards[0].name'],
  [
    'two shards in one schema',
    (draft) => Object.assign(draft.shards[3].primary, { host: 'DB.example', schema: 'STOCK_1' }),
    'shards[3].primary.schema: is the same as shards[1].primary.schema',
  ],
  [
    'a password that is not in the environment',
    (draft) => (draft.shards[1].primary.passwordVariable = 'NOT_THERE'),
    'shards[1].primary.passwordVariable: NOT_THERE is not set in the environment',
  ],
  [
    'a replica without a port',
    (draft) => (draft.shards[1].replicas = [{ ...REPLICA, port: undefined }]),
    'shards[1].replicas[0].port: is required',
  ],
  [
    'a password of a replica in the file',
    (draft) => (draft.shards[1].replicas = [{ ...REPLICA, password: PASSWORD }]),
    'shards[1].replicas[0].password: is not a known field',
  ],
  [
    'a replica that is the primary',
    (draft) => (draft.shards[1].replicas = [{ ...REPLICA, port: 3306 }]),
    'shards[1].replicas[0]: is the same as shards[1].primary.schema',
  ],
  [
    'a replica named twice',
    (draft) => (draft.shards[1].replicas = [REPLICA, { ...REPLICA, schema: 'STOCK_1' }]),
    'shards[1].replicas[1]: is the same as shards[1].replicas[0]',
  ],
  [
    'a password of a replica that is not in the environment',
    (draft) => (draft.shards[1].replicas = [{ ...REPLICA, passwordVariable: 'NOT_THERE' }]),
    'shards[1].replicas[0].passwordVariable: NOT_THERE is not set in the environment',
  ],
  [
    'more initial shards than shards',
    (draft) => (draft.initialShards = 5),
    'initialShards: must not be above the number of shards, 4',
  ],
  [
    'no initial shards',
    (draft) => (draft.initialShards = 0),
    'initialShards: must be a whole number from 1 to 1024, found 0',
  ],
];
