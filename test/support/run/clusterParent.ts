/** A process that owns one database server, to be killed by a test. Prints the server's process number and port. */
import { startCluster } from '../../../scripts/cluster/cluster.ts';

const dataDirectory = process.argv[2];
if (dataDirectory === undefined) throw new Error('usage: clusterParent.ts DATA_DIRECTORY');
const cluster = await startCluster({ servers: 1, dataDirectory, onProgress: () => {} });
console.log(JSON.stringify(cluster.servers.map(({ pid, port }) => ({ pid, port }))));
