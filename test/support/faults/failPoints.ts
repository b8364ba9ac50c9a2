import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Fail-points run before and after every call of every port. They are decorators that a composition root of the tests
 * puts around the ports, so the product contains no code for them.
 *
 * kill: the process sends itself SIGKILL; stall: the call is delayed; throw: the call fails with an unexpected error. A
 * fault after the call strikes when its work is done and its result has not been returned.
 */
export const FAIL_POINT_FAULTS = ['kill', 'stall', 'throw'] as const;
export type FailPointFault = (typeof FAIL_POINT_FAULTS)[number];

/**
 * The methods of ports that return at once. A stall of one stops its whole process, like a frozen gateway.
 */
export const SYNCHRONOUS_METHODS: readonly string[] = ['engine.groupOf', 'records.begin', 'records.areUsable'];

export const MOMENTS = ['before', 'after'] as const;
export type FaultMoment = (typeof MOMENTS)[number];

/** Where and how a gateway fails, once. */
export interface Armed {
  /** `port.method moment`, as in `engine.apply before`. */
  readonly point: string;
  /** The pass of the point at which the fault strikes, counted from 1 since the gateway was ready. */
  readonly pass: number;
  readonly fault: FailPointFault;
}

/** The variables in the environment of a gateway process that name the armed fault and the file for reports. */
export const FAIL_POINT_VARIABLES = {
  armed: 'STOCKGATE_FAIL_POINT',
  report: 'STOCKGATE_FAIL_REPORT',
  stallMs: 'STOCKGATE_FAIL_STALL_MS',
  /** Set: orders over several shards are sold as carts with attempts. */
  oldProtocol: 'STOCKGATE_FAIL_OLD_PROTOCOL',
} as const;

/** @param armed null: nothing fails, but passes are still reported */
export function armedText(armed: Armed | null): string {
  return armed === null ? '' : `${armed.fault} ${armed.pass} ${armed.point}`;
}

/** Reads the text of `armedText`. @throws when it has another form */
export function readArmed(text: string): Armed | null {
  if (text === '') return null;
  const [, fault, pass, point = ''] = /^(\w+) (\d+) (.+)$/.exec(text) ?? [];
  const known = FAIL_POINT_FAULTS.find((candidate) => candidate === fault);
  if (known === undefined) throw new Error(`not a fail-point: ${text}`);
  return { point, pass: Number(pass), fault: known };
}

export interface FailPoints {
  /** Puts a fail-point before and after every method of every port. */
  decorate<P extends object>(ports: P): P;
  /** Starts to count and report passes, and to strike with the armed fault. */
  begin(): void;
}

/**
 * @param report called for every point passed, immediately; `fires` is true at the point that strikes
 * @param stallMs the duration of a stall
 */
export function failPoints(
  armed: Armed | null,
  stallMs: number,
  report: (point: string, fires: boolean) => void,
): FailPoints {
  const passes = new Map<string, number>();
  let begun = false;

  /** @returns whether the armed fault strikes at this pass */
  const fires = (point: string): boolean => {
    if (!begun) return false;
    const count = (passes.get(point) ?? 0) + 1;
    passes.set(point, count);
    const isArmed = armed?.point === point && armed.pass === count;
    report(point, isArmed);
    return isArmed;
  };
  const pass = async (point: string): Promise<void> => {
    if (fires(point) && armed !== null) await strike(armed.fault, stallMs);
  };
  const passAtOnce = (point: string): void => {
    if (fires(point) && armed !== null) strikeAtOnce(armed.fault, stallMs);
  };

  /** Wraps every method at the moment it is read from the port, so that none can be forgotten. */
  const around = (name: string, port: object): object =>
    new Proxy(port, {
      get(target, key) {
        const method: unknown = Reflect.get(target, key);
        if (typeof method !== 'function') return method;
        const point = `${name}.${String(key)}`;
        if (SYNCHRONOUS_METHODS.includes(point))
          return (...given: unknown[]): unknown => {
            passAtOnce(`${point} before`);
            const result: unknown = Reflect.apply(method, target, given);
            passAtOnce(`${point} after`);
            return result;
          };
        return async (...given: unknown[]): Promise<unknown> => {
          await pass(`${point} before`);
          const result: unknown = await Reflect.apply(method, target, given);
          await pass(`${point} after`);
          return result;
        };
      },
    });

  return {
    decorate: <P extends object>(ports: P) =>
      Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, around(name, port as object)])) as P,
    begin: () => (begun = true),
  };
}

async function strike(fault: FailPointFault, stallMs: number): Promise<void> {
  if (fault === 'throw') throw new Error('a fail-point threw this');
  if (fault === 'kill') process.kill(process.pid, 'SIGKILL');
  await sleep(stallMs);
}

function strikeAtOnce(fault: FailPointFault, stallMs: number): void {
  if (fault === 'throw') throw new Error('a fail-point threw this');
  if (fault === 'kill') process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
}
