import { transactionRaces } from '../support/carts/transactionRaces.ts';

transactionRaces(Number(process.env['STOCKGATE_TEST_RACES'] ?? 10_000));
