import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Connection } from '../../../src/mysql/connection/connection.ts';
import { Heartbeats } from '../../../src/mysql/replicas/heartbeats.ts';
import { writeHeartbeat } from '../../../src/mysql/sql/session/writeHeartbeat.ts';
import { prepareReader } from '../../../src/mysql/sql/session/prepareReader.ts';
import { prepareSession } from '../../../src/mysql/sql/session/prepareSession.ts';
import { fresh } from '../gateway/gateway.ts';
import type { ReplicaBench } from '../systems/replicaBench.ts';

const HEARTBEAT = "SELECT DATE_FORMAT(heartbeat_at, '%Y-%m-%d %H:%i:%s.%f') AS heartbeat FROM precheck";
const CLOCK = "SELECT DATE_FORMAT(SYSDATE(6), '%Y-%m-%d %H:%i:%s.%f') AS clock";

/**
 * The facts that the age of a stock reading depends on, checked on the server itself: locks, commits and snapshots.
 *
 * @param follow resumes all replicas, and waits until they follow
 */
export function heartbeatPromises(bench: () => ReplicaBench, follow: () => Promise<void>): void {
  const open = async (prepare = prepareSession): Promise<Connection> => {
    const connection = await Connection.open(bench().stack.shards[0]!.address, 5_000);
    await prepare(connection, performance.now() + 5_000);
    return connection;
  };
  const beat = (connection: Connection): Promise<boolean> => writeHeartbeat(connection, performance.now() + 5_000);
  const heartbeat = async (): Promise<string> => String((await bench().write(HEARTBEAT))[0]?.heartbeat);

  beforeEach(() => bench().heartbeats.stop());
  after(() => bench().heartbeats.start());

  it('beats at most once every 150 ms, however many gateways there are', async () => {
    const gateways = [1, 2, 3].map(() => new Heartbeats(bench().shards, () => undefined));
    for (const gateway of gateways) gateway.start();
    const beats = new Set<string>();
    const untilMs = performance.now() + 1_500;
    while (performance.now() < untilMs) beats.add(await heartbeat());
    for (const gateway of gateways) await gateway.stop();
    const moments = [...beats].slice(1).map((text) => Date.parse(`${text.slice(0, 23).replace(' ', 'T')}Z`));
    const pauses = moments.slice(1).map((moment, place) => moment - (moments[place] ?? 0));
    expect(pauses.length).to.be.above(1);
    expect(Math.min(...pauses)).to.be.at.least(149);
  });

  it('reads the clock after it has the lock, for the value and for whether a beat is due', async () => {
    const [holder, connection] = [await bench().session(), await open()];
    await sleep(200);
    await bench().write('UPDATE precheck SET heartbeat_at = SYSDATE(6)');
    await holder.beginTransaction();
    await holder.query('SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE');
    const beating = beat(connection);
    await sleep(500);
    const [rows] = await holder.query(CLOCK);
    const { clock } = (rows as { clock: string }[])[0] ?? { clock: '' };
    await holder.commit();
    expect(await beating, 'a beat was due when the lock was free').to.equal(true);
    expect((await heartbeat()) > clock).to.equal(true);
    connection.destroy();
  });

  it('waits for a commit that waits for its replicas', async () => {
    const [holder, connection] = [await bench().session(), await open()];
    for (const replica of [0, 1]) await bench().runOnReplica(replica, 'STOP REPLICA IO_THREAD');
    await holder.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    await holder.beginTransaction();
    await holder.query('SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE');
    await holder.query(
      `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('${fresh('waits')}', 0, 1, 1)`,
    );
    const order: string[] = [];
    const startMs = performance.now();
    const committing = holder.commit().then(() => order.push('commit'));
    await sleep(300);
    const beating = beat(connection).then(() => order.push('beat'));
    await Promise.all([committing, beating]);
    expect(performance.now() - startMs, 'the commit waited').to.be.above(700);
    expect(order).to.deep.equal(['commit', 'beat']);
    connection.destroy();
    bench().heartbeats.start();
    await follow();
  });

  it('is from the same snapshot as the rows that are read with it', async () => {
    const sku_id = fresh('moment');
    await bench().write(
      `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('${sku_id}', 0, 1, 1)`,
    );
    const connections = [await open(prepareReader), await open(prepareSession)];
    const before = await heartbeat();
    const reading = connections.map((connection) =>
      connection.rows<{ value: string }>(
        `(SELECT DATE_FORMAT(heartbeat_at, '%Y-%m-%d %H:%i:%s.%f') AS value FROM precheck)
         UNION ALL (SELECT SLEEP(0.6))
         UNION ALL (SELECT leaved_amount FROM stock WHERE sku_id = '${sku_id}')
         UNION ALL (SELECT DATE_FORMAT(heartbeat_at, '%Y-%m-%d %H:%i:%s.%f') FROM precheck)`,
        [],
        performance.now() + 5_000,
      ),
    );
    await sleep(250);
    await bench().write(
      `UPDATE precheck, stock SET heartbeat_at = SYSDATE(6), leaved_amount = 2 WHERE sku_id = '${sku_id}'`,
    );
    for (const rows of await Promise.all(reading))
      expect(rows.map(({ value }) => value)).to.deep.equal([before, '0', '1', before]);
    expect(await heartbeat()).not.to.equal(before);
    for (const connection of connections) connection.destroy();
  });
}
