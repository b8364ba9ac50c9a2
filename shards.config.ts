import type { ShardsFile } from './src/config/shardsFile.ts';

// Sixteen shards on four servers. Data only: every field is checked before the first socket opens, and a fault names
// its path. Passwords come from the environment; here stands only the variable's name.
const account = { user: 'stockgate', passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' };
const server0 = { host: '127.0.0.1', port: 3306, ...account };
const server1 = { host: '127.0.0.1', port: 3307, ...account };
const server2 = { host: '127.0.0.1', port: 3308, ...account };
const server3 = { host: '127.0.0.1', port: 3309, ...account };
// Servers that follow server0, for reads that may be a little old: `replicas: replicas0` beside a shard's primary. The
// schema has the primary's name unless `schema` names another.
// const replicas0 = [{ host: '127.0.0.1', port: 3316, ...account }];
const pool = { connections: 8, waiting: 1_000 };

export default {
  initialShards: 16,
  shards: [
    { name: 'shard-00', primary: { ...server0, schema: 'stockgate_00' }, pool },
    { name: 'shard-01', primary: { ...server0, schema: 'stockgate_01' }, pool },
    { name: 'shard-02', primary: { ...server0, schema: 'stockgate_02' }, pool },
    { name: 'shard-03', primary: { ...server0, schema: 'stockgate_03' }, pool },
    { name: 'shard-04', primary: { ...server1, schema: 'stockgate_04' }, pool },
    { name: 'shard-05', primary: { ...server1, schema: 'stockgate_05' }, pool },
    { name: 'shard-06', primary: { ...server1, schema: 'stockgate_06' }, pool },
    { name: 'shard-07', primary: { ...server1, schema: 'stockgate_07' }, pool },
    { name: 'shard-08', primary: { ...server2, schema: 'stockgate_08' }, pool },
    { name: 'shard-09', primary: { ...server2, schema: 'stockgate_09' }, pool },
    { name: 'shard-10', primary: { ...server2, schema: 'stockgate_10' }, pool },
    { name: 'shard-11', primary: { ...server2, schema: 'stockgate_11' }, pool },
    { name: 'shard-12', primary: { ...server3, schema: 'stockgate_12' }, pool },
    { name: 'shard-13', primary: { ...server3, schema: 'stockgate_13' }, pool },
    { name: 'shard-14', primary: { ...server3, schema: 'stockgate_14' }, pool },
    { name: 'shard-15', primary: { ...server3, schema: 'stockgate_15' }, pool },
  ],
} satisfies ShardsFile;
