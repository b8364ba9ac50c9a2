import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Socket } from 'node:net';
import type Koa from 'koa';
import { problem } from './errors.ts';
import type { ProblemCode } from './errors.ts';

/** What a connection may cost us, whoever is at its other end. */
const LIMITS = {
  headerBytes: 8 * 1024,
  /** From the first byte of a request to the end of its headers. */
  headersMs: 5_000,
  /** From the first byte of a request to the end of its body. */
  requestMs: 10_000,
  /** Between two requests. Longer than the idle time of common load balancers, so that they close first. */
  idleMs: 75_000,
  checkEveryMs: 1_000,
  connections: 20_000,
} as const;

/** A listening HTTP server that can be drained. */
export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /** Takes no new connections, lets requests in flight finish for at most `waitMs`, then ends what is left. */
  drain(waitMs: number): Promise<void>;
}

/**
 * Listens.
 *
 * @param port 0 takes a free one
 * @throws when the address cannot be listened on
 */
export async function listen(app: Koa, host: string, port: number): Promise<RunningServer> {
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.idleMs,
      connectionsCheckingInterval: LIMITS.checkEveryMs,
    },
    app.callback(),
  );
  server.maxConnections = LIMITS.connections;
  server.on('clientError', refuseBroken);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port, drain: (waitMs) => drain(server, waitMs) };
}

async function drain(server: Server, waitMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => server.closeAllConnections(), waitMs);
  await closed;
  clearTimeout(timer);
}

/** Bytes that are not HTTP, or too many, or too slow: one clear answer, and the connection ends. */
function refuseBroken(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code: ProblemCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers_too_large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request_timeout'
        : 'invalid_request';
  const { status, contentType, body } = problem(code, 'the connection is closed', {
    ...(code === 'invalid_request' ? { errors: [{ path: 'request', message: 'is not HTTP that can be read' }] } : {}),
  });
  const head = [
    `HTTP/1.1 ${status} ${code}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
