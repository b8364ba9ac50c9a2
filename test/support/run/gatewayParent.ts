/** A process that owns a gateway, to be killed by a test. Prints the gateway's process number. */
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';

const { pid } = await startGatewayProcess({ PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' });
console.log(pid);
