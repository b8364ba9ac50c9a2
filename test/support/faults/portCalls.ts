import type { BackendPorts } from '../../../src/app/backendPorts.ts';
import { SYNCHRONOUS_METHODS } from './failPoints.ts';

/** Called before each call of a port. A result other than undefined replaces the answer of the port. */
export type BeforeCall = (port: string, method: string, given: readonly unknown[]) => unknown;

/** Calls a function before every method of every port of a gateway, except those that return at once. */
export function beforeCalls(ports: BackendPorts, before: BeforeCall): BackendPorts {
  const around = (name: string, port: object): object =>
    new Proxy(port, {
      get(target, key) {
        const method: unknown = Reflect.get(target, key);
        if (typeof method !== 'function') return method;
        if (SYNCHRONOUS_METHODS.includes(`${name}.${String(key)}`)) return method.bind(target) as unknown;
        return async (...given: unknown[]): Promise<unknown> =>
          (await before(name, String(key), given)) ?? (Reflect.apply(method, target, given) as unknown);
      },
    });
  return Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [name, around(name, port as object)]),
  ) as unknown as BackendPorts;
}
