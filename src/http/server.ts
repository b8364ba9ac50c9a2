import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type Koa from 'koa';
import { HEADERS_OF_EVERY_ANSWER, problem } from './errors.ts';
import type { ProblemCode, Reply } from './errors.ts';
import { requestIdOf } from './requestId.ts';

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
  /** From our last word on a connection to its end, for the caller to read it. */
  lingerMs: 1_000,
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
 * @param methods those that the calls of the application have, in upper case
 * @param port 0 takes a free one
 * @throws when the address cannot be listened on
 */
export async function listen(app: Koa, methods: readonly string[], host: string, port: number): Promise<RunningServer> {
  const handle = app.callback();
  const answersDue = new Map<Socket, Set<ServerResponse>>();
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const due = answersDue.get(request.socket);
    due?.add(response);
    response.once('close', () => due?.delete(response));
    void handle(request, response);
  };
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.idleMs,
      connectionsCheckingInterval: LIMITS.checkEveryMs,
      // Node.js would answer a missing one by itself, and not with a problem.
      requireHostHeader: false,
    },
    take,
  );
  server.maxConnections = LIMITS.connections;
  server.on('connection', (socket: Socket) => {
    answersDue.set(socket, new Set());
    socket.once('close', () => answersDue.delete(socket));
  });
  // An expectation that nobody knows may be passed over; Node.js would answer it by itself.
  server.on('checkExpectation', take);
  server.on('connect', (request) => void refuseConnect(request, methods, answersDue.get(request.socket) ?? new Set()));
  server.on('clientError', (error, stream) => {
    const socket = stream as Socket;
    refuseBroken(error, socket, answersDue.get(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return { host: address.address, port: address.port, drain: (waitMs) => drain(server, answersDue, waitMs) };
}

/** Node.js closes connections between two requests by itself, but not those on which no request was ever made. */
async function drain(
  server: Server,
  answersDue: ReadonlyMap<Socket, ReadonlySet<ServerResponse>>,
  waitMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const [socket, due] of answersDue) if (due.size === 0) socket.destroy();
  const timer = setTimeout(() => {
    server.closeAllConnections();
    // Node.js no longer counts a connection that had a CONNECT among its own.
    for (const socket of answersDue.keys()) socket.destroy();
  }, waitMs);
  await closed;
  clearTimeout(timer);
}

/**
 * Bytes that are not HTTP, or too many, or too slow: one clear answer, and the connection ends.
 *
 * @param due the answers that this connection still waits for, in the order of their requests
 */
function refuseBroken(
  error: Error & { code?: string },
  socket: Socket,
  due: ReadonlySet<ServerResponse> = new Set(),
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  // Sent now, our refusal would be read as the answer to a whole request before it, which may well be done.
  const lastWhole = [...due].findLast((response) => response.req.complete);
  if (lastWhole !== undefined) {
    if (lastWhole.headersSent) socket.destroySoon();
    else lastWhole.setHeader('Connection', 'close');
    return;
  }
  const code: ProblemCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'headers_too_large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'request_timeout'
        : 'invalid_request';
  const errors = [{ path: 'request', message: 'is not HTTP that can be read' }];
  endWith(socket, problem(code, 'the connection is closed', code === 'invalid_request' ? { errors } : {}));
}

/**
 * Answers CONNECT, for which Node.js has no way of its own; the gateway is no proxy. Bytes after it on the connection
 * would be for another host, so the connection ends.
 *
 * @param due the answers to earlier requests of the connection; they are sent first
 */
async function refuseConnect(
  { socket, headers: { 'x-request-id': given } }: IncomingMessage,
  methods: readonly string[],
  due: ReadonlySet<ServerResponse>,
): Promise<void> {
  // Node.js lets go of the socket with its time limits and its errors.
  socket.setTimeout(LIMITS.idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  await Promise.all([...due].map((response) => new Promise((resolve) => response.once('close', resolve))));
  const allow = methods.join(', ');
  const reply = problem('method_not_allowed', `this server takes ${allow}, found CONNECT; the connection is closed`);
  const requestId = given === undefined ? {} : { 'X-Request-Id': requestIdOf(given) };
  endWith(socket, { ...reply, headers: { Allow: allow, ...requestId } });
}

/** Sends the last answer of a connection past Node.js, which can no longer answer on it. */
function endWith(socket: Socket, { status, outcome, contentType, headers, body }: Reply): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const fields = {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
    ...HEADERS_OF_EVERY_ANSWER,
    Connection: 'close',
  };
  const head = [`HTTP/1.1 ${status} ${outcome}`, ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  // Node.js no longer watches this connection, and a caller may keep its side open.
  setTimeout(() => socket.destroy(), LIMITS.lingerMs).unref();
}
