import type { Ports } from '../../src/app.ts';

/** Called before each call of a port. Anything but undefined is the answer instead of the port's own. */
export type BeforeCall = (port: string, method: string, given: readonly unknown[]) => unknown;

/** Puts a function before all methods of all ports of a gateway. */
export function beforeCalls(ports: Ports, before: BeforeCall): Ports {
  const around = (name: string, port: object): object =>
    new Proxy(port, {
      get(target, key) {
        const method: unknown = Reflect.get(target, key);
        if (typeof method !== 'function') return method;
        return async (...given: unknown[]): Promise<unknown> =>
          (await before(name, String(key), given)) ?? (Reflect.apply(method, target, given) as unknown);
      },
    });
  return Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [name, around(name, port as object)]),
  ) as unknown as Ports;
}
