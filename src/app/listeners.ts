import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Tracer } from '../core/ports/tracer.ts';
import { adminRoutes } from '../http/adminRoutes.ts';
import { listenerApp } from '../http/listener.ts';
import type { ListenerOptions } from '../http/listener.ts';
import { describe } from '../http/openapi.ts';
import { publicRoutes } from '../http/publicRoutes.ts';
import { docsPageRoutes } from '../http/routes/docsPage.ts';
import { methodsOf } from '../http/route.ts';
import type { Route } from '../http/route.ts';
import { listen } from '../http/server.ts';
import type { RunningServer } from '../http/server.ts';
import { answerLog } from '../log.ts';
import { adminUseCases, publicUseCases } from './useCases.ts';
import type { UseCaseOptions } from './useCases.ts';

export interface ListenersOptions {
  /** The use cases, without the description, which is made from their routes. */
  readonly served: Omit<UseCaseOptions, 'description'>;
  readonly config: Config;
  readonly log: Logger;
  readonly tracer: Tracer | null;
  /** The rate limit of the public listener. */
  readonly limits: Pick<ListenerOptions, 'mayCall'>;
  isDraining(): boolean;
}

/** The two listeners of a gateway. Each function opens one; it throws when the address cannot be used. */
export interface Listeners {
  openPublic(): Promise<RunningServer>;
  openAdmin(): Promise<RunningServer>;
}

/** Makes the listeners and their description as OpenAPI, with the use cases behind them. */
export function createListeners({ served, config, log, tracer, limits, isDraining }: ListenersOptions): Listeners {
  const described: UseCaseOptions = { ...served, description: () => description };
  const routesOfPublic = publicRoutes(publicUseCases(described));
  const routesOfAdmin = adminRoutes(adminUseCases(described));
  const description = JSON.stringify(
    describe([
      { tag: 'public', routes: routesOfPublic },
      { tag: 'admin', routes: routesOfAdmin },
    ]),
  );
  const logAnswer = answerLog(log);
  const open = (
    routes: readonly Route[],
    listener: Config['public'],
    rateLimit: ListenersOptions['limits'] = {},
  ): Promise<RunningServer> =>
    listen(
      listenerApp({
        ...rateLimit,
        ...(tracer !== null && { tracer }),
        routes,
        tokens: listener.tokens,
        requestMs: config.requestMs,
        onAnswered(answered) {
          served.metrics.answered(answered);
          logAnswer(answered);
        },
        onFault: (error, at) => log.error({ err: error, ...at }, 'fault'),
        isDraining,
      }),
      methodsOf(routes),
      listener.host,
      listener.port,
    );
  return {
    openPublic: () => open(routesOfPublic, config.public, limits),
    openAdmin: () => open([...routesOfAdmin, ...docsPageRoutes()], config.admin),
  };
}
