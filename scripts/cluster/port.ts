import { createServer } from 'node:net';

/**
 * Below the range of ports for outgoing connections, so that the port of a stopped server is still free when the server
 * is started again.
 */
const FIRST = 20_000;
const LAST = 31_999;

/** Ports that this process has given out; their servers may not have opened them yet. */
const given = new Set<number>();

/** A TCP port of 127.0.0.1 that is free at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port from ${FIRST} to ${LAST}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
