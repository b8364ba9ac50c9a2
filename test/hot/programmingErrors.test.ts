import { expect } from 'chai';
import { startGateway } from '../../src/app/startGateway.ts';
import type { Gateway } from '../../src/app/startGateway.ts';
import type { BackendPorts } from '../../src/app/backendPorts.ts';
import { loadConfig } from '../../src/config/config.ts';
import { RowsUnavailable } from '../../src/core/ports/hotRows.ts';
import { unsplitLayout } from '../../src/core/hot/layout.ts';
import { CommitUnanswered, ConnectionLost, LeftTransaction, Unavailable } from '../../src/mysql/connection/failures.ts';
import { LayoutStore } from '../../src/mysql/hot/layoutStore.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { keptLog } from '../support/rows/damagedRows.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';

const WAIT_MS = 30_000;
const BUG = 'x is not a function';

/** Wraps a port so that one of its methods has a programming error, as long as `method` names it. */
class Buggy {
  method: string | null = null;
  error: Error = new TypeError(BUG);

  around<P extends object>(port: P): P {
    return new Proxy(port, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]): unknown => {
          const result: unknown =
            key === this.method ? Promise.reject(this.error) : Reflect.apply(value, target, given);
          return result;
        };
      },
    });
  }
}

describe('a programming error', () => {
  describe('behind the ports of split SKUs', () => {
    const client = httpClient(4);
    const buggy = new Buggy();
    const { log, lines } = keptLog();
    let gateway: Gateway;
    before(async () => {
      const config = await loadConfig({ ...stack().environment, PORT: '0', ADMIN_PORT: '0' });
      const around = ({ hotRows, layouts, ...others }: BackendPorts): BackendPorts => ({
        ...{ ...others, hotRows: buggy.around(hotRows), layouts: buggy.around(layouts) },
      });
      gateway = await startGateway(config, log, around);
    });
    after(async () => {
      client.close();
      await gateway.drain();
    });
    afterEach(() => {
      buggy.method = null;
      buggy.error = new TypeError(BUG);
      lines.length = 0;
    });

    const admin = (path: string, body: unknown): Promise<Answer> =>
      client.call({ method: 'PUT', url: gateway.adminUrl + path, body });
    const sell = async (sku_id: string, order_detail_id: string, quantity: number): Promise<number> => {
      const body = { order_id: 'o', lines: [{ sku_id, order_detail_id, quantity }] };
      return (await client.call({ method: 'POST', url: `${gateway.publicUrl}/v1/deductions`, body })).status;
    };
    const resize = async (sku_id: string, sub_rows: number): Promise<string> => {
      const { status, body } = await admin(`/v1/skus/${sku_id}/hot`, { sub_rows });
      return `${status} ${String(body?.code)}`;
    };
    const open = async (sku_id: string): Promise<string> => {
      expect((await admin(`/v1/skus/${sku_id}`, { leaved_amount: 100 })).status).to.equal(201);
      return sku_id;
    };
    const isBug = (err: unknown): boolean => (err as { message?: string } | undefined)?.message === BUG;
    const bugs = (): unknown[] => lines.filter(({ msg, err }) => msg === 'fault' && isBug(err));

    for (const method of ['readSale', 'createRows', 'close', 'open', 'replace', 'read']) {
      it(`in ${method} is logged, and the answer is outcome_unknown`, async () => {
        const sku_id = await open(fresh('buggy'));
        buggy.method = method;
        expect(await resize(sku_id, 3)).to.equal('503 outcome_unknown');
        expect(bugs()).not.to.deep.equal([]);
        buggy.method = null;
        // The half-finished resize is continued.
        await eventually('the SKU is split', WAIT_MS, async () => (await resize(sku_id, 3)) === '200 undefined');
        expect(await sell(sku_id, 'a', 2)).to.equal(201);
      }).timeout(2 * WAIT_MS);
    }

    it('in close leaves the SKU unchanged and for sale', async () => {
      const sku_id = await open(fresh('buggy'));
      expect(await resize(sku_id, 2)).to.equal('200 undefined');
      buggy.method = 'close';
      expect(await resize(sku_id, 4)).to.equal('503 outcome_unknown');
      expect(await sell(sku_id, 'a', 2)).to.equal(201);
    }).timeout(WAIT_MS);

    it('differs from an unreachable shard, which is answered with overloaded', async () => {
      const sku_id = await open(fresh('away'));
      for (const method of ['readSale', 'createRows']) {
        buggy.method = method;
        buggy.error = new RowsUnavailable('the shard is away');
        expect(await resize(sku_id, 3), method).to.equal('503 overloaded');
      }
      expect(lines.filter(({ msg }) => msg === 'fault')).to.deep.equal([]);
    }).timeout(WAIT_MS);

    for (const method of [
      'takeLease',
      'releaseLease',
      'claimUnfinished',
      'clearTransfers',
      'findUnfinished',
      'findExisting',
    ]) {
      it(`in ${method} is logged and ends no process`, async () => {
        const sku_id = await open(fresh('buggy'));
        expect(await resize(sku_id, 4)).to.equal('200 undefined');
        buggy.method = method;
        await eventually('the error is in the log', WAIT_MS, async () => {
          await resize(sku_id, 3);
          // More units than one row has.
          await sell(sku_id, fresh('large'), 30);
          await resize(sku_id, 4);
          return bugs().length > 0;
        });
        buggy.method = null;
        await eventually('the SKU sells again', WAIT_MS, async () => (await sell(sku_id, fresh('small'), 1)) === 201);
      }).timeout(3 * WAIT_MS);
    }
  });

  describe('in the store of layouts', () => {
    const layout = unsplitLayout('sku', 0);
    const storeThat = (error: Error): LayoutStore => {
      const fail = (): Promise<never> => Promise.reject(error);
      return new LayoutStore([{ pool: { lend: fail, acquire: fail } } as unknown as Shard]);
    };
    const calls: Readonly<Record<string, (store: LayoutStore) => Promise<unknown>>> = {
      replace: (store) => store.replace(0, layout, layout, performance.now() + WAIT_MS),
      replaceBySingle: (store) => store.replaceBySingle(0, layout, layout, 1, performance.now() + WAIT_MS),
      claimUnfinished: (store) => store.claimUnfinished(0, 'sku', 1, performance.now() + WAIT_MS),
      touch: (store) => store.touch(0, layout, performance.now() + WAIT_MS),
      takeLease: (store) => store.takeLease(0, 'sku', '00', 1, performance.now() + WAIT_MS),
      releaseLease: (store) => store.releaseLease(0, 'sku', '00', performance.now() + WAIT_MS),
      read: (store) => store.read(0, 'sku', performance.now() + WAIT_MS),
    };

    for (const [name, call] of Object.entries(calls)) {
      it(`is thrown by ${name}, unlike failures of the shard`, async () => {
        const bug = new TypeError(BUG);
        expect(
          await call(storeThat(bug)).then(
            () => null,
            (error: unknown) => error,
          ),
        ).to.equal(bug);
        const inDoubt = name === 'read' ? [] : [new CommitUnanswered('no OK'), new LeftTransaction('left')];
        for (const failure of [new Unavailable('none'), new ConnectionLost('gone', true), ...inDoubt]) {
          const thrown = await call(storeThat(failure)).then(
            () => null,
            (error: unknown) => error,
          );
          expect(thrown, failure.message).to.equal(null);
        }
      });
    }
  });
});
