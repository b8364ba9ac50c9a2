import Router from '@koa/router';
import Koa from 'koa';
import type { Static, TSchema } from 'typebox';
import { shown } from '../core/text/shown.ts';
import type { RequestTrace, Tracer } from '../core/ports/tracer.ts';
import { compile } from '../schema/compile.ts';
import type { Checked, Fault } from '../schema/compile.ts';
import { bearerCheck, callerOf } from './auth.ts';
import { readJson } from './body.ts';
import { HEADERS_OF_EVERY_ANSWER, invalid, isInDoubt, problem, Rejection } from './errors.ts';
import type { Reply } from './errors.ts';
import { readQuery } from './query.ts';
import { requestIdOf } from './requestId.ts';
import { methodsOf } from './route.ts';
import type { Route } from './route.ts';
import { requestRecord } from './schemaParts.ts';
import { stallWatch } from './stallWatch.ts';

export interface ListenerOptions {
  readonly routes: readonly Route[];
  readonly tokens: readonly string[];
  /** The longest time for a request, unless its route has a limit of its own. */
  readonly requestMs: number;
  /** Whether a caller may send one more request; absent: every caller may. */
  readonly mayCall?: (caller: string) => Promise<boolean>;
  /** Records traces of requests; absent: no request is traced. */
  readonly tracer?: Tracer;
  /** Called once per request, after its answer is made. */
  readonly onAnswered: (answered: Answered) => void;
  /** Called with each unexpected error. */
  readonly onFault: (error: unknown, at: FaultPlace) => void;
  /** True while the gateway drains: every answer then asks the client to close the connection. */
  readonly isDraining: () => boolean;
}

/** The request in which an unexpected error occurred. */
export interface FaultPlace {
  readonly route: string;
  readonly requestId: string | null;
  readonly traceId?: string;
}

/** A request whose answer is made. */
export interface Answered {
  readonly route: string;
  readonly outcome: string;
  readonly status: number;
  /** The outcome is in doubt, so the request will be looked up later. */
  readonly isInDoubt: boolean;
  readonly seconds: number;
  /** Null: the request has no id. */
  readonly requestId: string | null;
  /** Absent: the request is not traced. */
  readonly traceId?: string;
}

interface State {
  /** The route of the request, for metrics. */
  route: string;
  /** Made when it is needed: most requests end without an id. */
  requestId?: string;
  /** Absent: the request is not traced. */
  trace?: RequestTrace;
  /** The answer of a route behind the router; absent: no route matched. */
  reply?: Reply;
}

/** Makes the Koa application of one listener from its routes. One function sends every answer. */
export function listenerApp(options: ListenerOptions): Koa {
  const app = new Koa<State>();
  const waitingSince = stallWatch();
  app.silent = true;
  app.on('error', (error: Error & { code?: string }) => {
    // A caller that closed the connection is not an error. Its request is finished, and can be looked up.
    if (!['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? ''))
      options.onFault(error, { route: 'none', requestId: null });
  });
  const handlers = options.routes.map((declared) => ({ declared, handle: handlerOf(declared, options, waitingSince) }));
  app.use(answerOnce(options, routesByAddress(handlers)));
  app.use(router(handlers).routes());
  return app;
}

/** The outermost middleware. Only it writes answers, sees every exception and checks the token. */
function answerOnce(options: ListenerOptions, byAddress: ReadonlyMap<string, Handle>): Koa.Middleware<State> {
  const isKnown = bearerCheck(options.tokens);
  const openPaths = new Set(options.routes.filter((route) => route.open).map((route) => route.path));
  return async (context, next) => {
    const startedMs = performance.now();
    context.state.route = 'none';
    let reply: Reply;
    const fault = addressFault(context);
    const isOpen = (): boolean => fault === null && openPaths.has(context.path);
    const isCaller = isKnown(context.req.headers.authorization);
    if (fault !== null) reply = invalid([fault]);
    else if (!isCaller && !isOpen()) {
      reply = problem('unauthorized', 'send Authorization: Bearer <token>');
      context.set('WWW-Authenticate', 'Bearer');
    } else if (
      options.mayCall !== undefined &&
      !isOpen() &&
      !(await options.mayCall(callerOf(context.req, options.tokens.length > 0)))
    ) {
      reply = problem('rate_limited', 'wait for the seconds in Retry-After, then send the request again');
    } else {
      // The trace begins only here, so that a request that is rejected above makes no span.
      if (options.tracer !== undefined && !isOpen()) beginTrace(context, options.tracer);
      const handle = byAddress.get(`${context.req.method} ${context.req.url}`);
      reply = await (handle === undefined ? routed(context, next, options) : handle(context));
    }
    context.status = reply.status;
    context.set(reply.headers);
    context.set(HEADERS_OF_EVERY_ANSWER);
    if (options.isDraining()) context.set('Connection', 'close');
    // A caller that sent an id gets it back. A request in doubt gets one too, because its id is in the log.
    if (context.req.headers['x-request-id'] !== undefined || isInDoubt(reply))
      context.set('X-Request-Id', idOf(context));
    context.type = reply.contentType;
    context.body = reply.body;
    const seconds = (performance.now() - startedMs) / 1_000;
    const { route, requestId = null, trace } = context.state;
    const { outcome, status } = reply;
    trace?.answered({ route: route === 'none' ? null : route, outcome, status, requestId });
    options.onAnswered({
      route,
      outcome,
      status,
      isInDoubt: isInDoubt(reply),
      seconds,
      requestId,
      ...(trace !== undefined && { traceId: trace.traceId }),
    });
  };
}

/** Begins the trace of an accepted request. */
function beginTrace({ req, state }: Context, tracer: Tracer): void {
  const { traceparent, tracestate } = req.headers;
  const trace = tracer.begin({
    method: req.method ?? '',
    version: req.httpVersion,
    ...(typeof traceparent === 'string' && { traceparent }),
    ...(typeof tracestate === 'string' && { tracestate }),
  });
  if (trace !== null) state.trace = trace;
}

/** The answer of the routes behind the router. An error thrown outside a route comes before any change. */
async function routed(
  context: Koa.ParameterizedContext<State>,
  next: Koa.Next,
  options: ListenerOptions,
): Promise<Reply> {
  try {
    await next();
    return context.state.reply ?? notFound(context, options.routes);
  } catch (error) {
    options.onFault(error, faultPlaceOf(context));
    return problem('internal', 'the gateway failed; its log has the reason');
  }
}

type Context = Koa.ParameterizedContext<State>;

function faultPlaceOf(context: Context): FaultPlace {
  const { route, trace } = context.state;
  return { route, requestId: idOf(context), ...(trace !== undefined && { traceId: trace.traceId }) };
}

function idOf({ req, state }: Context): string {
  return (state.requestId ??= requestIdOf(req.headers['x-request-id']));
}

/** Answers a request of one route, and sets `route` of its state. It throws nothing. */
type Handle = (context: Context) => Promise<Reply>;

interface RouteHandler {
  readonly declared: Route;
  readonly handle: Handle;
}

/**
 * The routes without parameters, by method and path. The busiest routes are among them, and to match patterns would be
 * a tenth of their cost.
 */
function routesByAddress(handlers: readonly RouteHandler[]): ReadonlyMap<string, Handle> {
  const withoutParameters = handlers.filter(({ declared }) => !declared.path.includes(':'));
  return new Map(withoutParameters.map(({ declared, handle }) => [routeName(declared), handle]));
}

function router(handlers: readonly RouteHandler[]): Router<State> {
  const routes = new Router<State>({ strict: true, sensitive: true });
  for (const { declared, handle } of handlers) {
    routes.register(declared.path, [declared.method], async (context: Context) => {
      context.state.reply = await handle(context);
    });
  }
  return routes;
}

function routeName({ method, path }: Route): string {
  return `${method.toUpperCase()} ${path}`;
}

/** Rejects unknown query parameters, like unknown members of a body. */
const NO_QUERY = requestRecord({});

function handlerOf(declared: Route, options: ListenerOptions, waitingSince: () => number): Handle {
  const name = routeName(declared);
  const checkParams = checker(declared.params, 'path');
  const checkQuery = checker(declared.query ?? (declared.path.startsWith('/v1/') ? NO_QUERY : undefined), 'query');
  const checkBody = checker(declared.body, 'body');
  return async (context) => {
    context.state.route = name;
    try {
      const stalledMs = performance.now() - waitingSince();
      const params = checkParams((context as { params?: unknown }).params);
      const query = checkQuery(readQuery(context.querystring));
      const body = declared.body === undefined ? undefined : checkBody(await readJson(context.req));
      // The time limit starts here. The caller determines how long the body takes, within the limits of the server.
      const deadlineMs = performance.now() + (declared.requestMs ?? options.requestMs) - stalledMs;
      return await declared.handle({ params, query, body, deadlineMs, trace: context.state.trace?.operations ?? null });
    } catch (error) {
      return error instanceof Rejection ? error.reply : replyToFault(error, declared, options, faultPlaceOf(context));
    }
  };
}

function replyToFault(error: unknown, declared: Route, options: ListenerOptions, at: FaultPlace): Reply {
  options.onFault(error, at);
  // The change may have been committed before the unexpected error.
  return declared.changes === true
    ? problem('outcome_unknown', 'the gateway failed; the request may have had its effect')
    : problem('internal', 'the gateway failed; its log has the reason');
}

/**
 * Makes the check of one part of the input.
 *
 * @returns a function that throws a Rejection with the path of every fault
 */
function checker<S extends TSchema>(schema: S | undefined, root: string): (input: unknown) => Static<S> {
  if (schema === undefined) return (input) => input as Static<S>;
  const check = compile(schema, root);
  return (input) => {
    const checked: Checked<Static<S>> = check(input);
    if (!checked.ok) throw new Rejection(invalid(checked.faults));
    return checked.value;
  };
}

/** The answer if no route matched: the path may have routes with other methods. */
function notFound(context: Koa.Context, routes: readonly Route[]): Reply {
  const methods = methodsOf(routes.filter((route) => pattern(route.path).test(context.path)));
  if (methods.length === 0) return problem('not_found', `no call has the address ${shown(context.path)}`);
  const allow = methods.join(', ');
  context.set('Allow', allow);
  return problem('method_not_allowed', `this address takes ${allow}, found ${context.method}`);
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+').replaceAll('.', '\\.')}$`);
}

/** The fault of a request whose address is ambiguous or unreadable, or null. It is checked first. */
function addressFault(context: Context): Fault | null {
  const { url = '', httpVersion, headers } = context.req;
  if (httpVersion === '1.1' && headers.host === undefined) return { path: 'headers.host', message: 'is required' };
  // The part after an unencoded # would be cut off, so that `a#b` would be read as `a`.
  if (url.includes('#')) return { path: 'url', message: 'has a # that is not percent-encoded' };
  if (!isDecodable(url)) return { path: 'url', message: 'is not well-formed percent-encoding' };
  if (isReadable(context)) return null;
  return { path: 'url', message: `must be a path, or a whole address with a host, found ${shown(url)}` };
}

/** Whether the path can be read. `http://[::1` throws wherever the path is read. */
function isReadable(context: Context): boolean {
  if (context.url.startsWith('/')) return true;
  try {
    return context.path !== undefined;
  } catch {
    return false;
  }
}

/**
 * Whether the percent-encoding is valid. `%FF` must not become U+FFFD, and `%zz` must not stay as it is: one would make
 * one id of two, the other two spellings of one id.
 */
function isDecodable(url: string): boolean {
  if (!url.includes('%')) return true;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}
