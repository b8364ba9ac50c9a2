import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type Koa from 'koa';
import { HEADERS_OF_EVERY_ANSWER, problem } from './errors.ts';
import type { ProblemCode, Reply } from './errors.ts';
import { requestIdOf } from './requestId.ts';

/** The limits of a connection, which hold for every client. */
const LIMITS = {
  headerBytes: 8 * 1024,
  /** From the first byte of a request to the end of its headers. */
  headersMs: 5_000,
  /** From the first byte of a request to the end of its body. */
  requestMs: 10_000,
  /** The idle time between two requests. Longer than that of common load balancers, so that they close first. */
  idleMs: 75_000,
  checkEveryMs: 1_000,
  /** From the last answer on a connection to its end, so that the caller can read the answer. */
  lingerMs: 1_000,
  connections: 20_000,
} as const;

/** A listening HTTP server that can be drained. */
export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /**
   * Stops accepting connections, waits at most `waitMs` for the requests in flight, then closes the remaining
   * connections.
   */
  drain(waitMs: number): Promise<void>;
}

/**
 * Starts to listen.
 *
 * @param methods the methods of the application's routes, in upper case
 * @param port 0: a free port
 * @throws when the server cannot listen on the address
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
      // Node.js itself would answer a request without the header, and not with a problem.
      requireHostHeader: false,
    },
    take,
  );
  server.maxConnections = LIMITS.connections;
  server.on('connection', (socket: Socket) => {
    answersDue.set(socket, new Set());
    socket.once('close', () => answersDue.delete(socket));
  });
  // An unknown `Expect` header may be ignored. Without this handler Node.js itself would answer it.
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

/** Drains. Node.js closes connections that are idle between two requests, but not those that never had a request. */
async function drain(
  server: Server,
  answersDue: ReadonlyMap<Socket, ReadonlySet<ServerResponse>>,
  waitMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const [socket, due] of answersDue) if (due.size === 0) socket.destroy();
  const timer = setTimeout(() => {
    server.closeAllConnections();
    // Node.js no longer tracks a connection that had a CONNECT.
    for (const socket of answersDue.keys()) socket.destroy();
  }, waitMs);
  await closed;
  clearTimeout(timer);
}

/**
 * Answers bytes that are not HTTP, too many, or too slow, with one problem, and closes the connection.
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
  // If the problem were sent now, the client would read it as the answer to an earlier, complete request.
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
  const errors = [{ path: 'request', message: 'is not valid HTTP' }];
  endWith(socket, problem(code, 'the connection is closed', code === 'invalid_request' ? { errors } : {}));
}

/**
 * Answers CONNECT, which Node.js does not pass to the application. The gateway is no proxy. Bytes that follow would be
 * for another host, so the connection is closed.
 *
 * @param due the answers to earlier requests of the connection; they are sent first
 */
async function refuseConnect(
  { socket, headers: { 'x-request-id': given } }: IncomingMessage,
  methods: readonly string[],
  due: ReadonlySet<ServerResponse>,
): Promise<void> {
  // Node.js no longer applies its time limits to the socket, and no longer handles its errors.
  socket.setTimeout(LIMITS.idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  await Promise.all([...due].map((response) => new Promise((resolve) => response.once('close', resolve))));
  const allow = methods.join(', ');
  const reply = problem('method_not_allowed', `this server takes ${allow}, found CONNECT; the connection is closed`);
  const requestId = given === undefined ? {} : { 'X-Request-Id': requestIdOf(given) };
  endWith(socket, { ...reply, headers: { Allow: allow, ...requestId } });
}

/** Writes the last answer directly to the socket, because Node.js can no longer answer on the connection. */
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
  // Node.js no longer closes this connection, and a caller may keep its side open.
  setTimeout(() => socket.destroy(), LIMITS.lingerMs).unref();
}
