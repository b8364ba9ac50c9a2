/**
 * A gateway with fail-points around its ports. It is a composition root of the tests, and is started as a process like
 * `src/main.ts`, with the same line on standard output.
 */
import { appendFileSync } from 'node:fs';
import { startGateway } from '../../../src/app/startGateway.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { createLog } from '../../../src/log.ts';
import { withOldProtocol } from '../carts/oldProtocol.ts';
import { FAIL_POINT_VARIABLES, failPoints, readArmed } from './failPoints.ts';

const STALL_MS = 10_000;

const { armed, report, stallMs, oldProtocol } = FAIL_POINT_VARIABLES;
const file = process.env[report];
if (file === undefined) throw new Error(`${report} names the file to report to`);
// Written synchronously, because a process that kills itself cannot write later.
const write = (point: string, fires: boolean): void => appendFileSync(file, `${fires ? 'fires' : 'passes'} ${point}\n`);
const points = failPoints(readArmed(process.env[armed] ?? ''), Number(process.env[stallMs] ?? STALL_MS), write);

const config = await loadConfig();
const isOld = process.env[oldProtocol] !== undefined;
const gateway = await startGateway(config, createLog(config.logLevel), (ports) =>
  points.decorate(isOld ? withOldProtocol(ports) : ports),
);
process.once('SIGTERM', () => void gateway.drain().then(() => process.exit(0)));
points.begin();
console.log(`ready ${gateway.publicUrl} admin ${gateway.adminUrl}`);
