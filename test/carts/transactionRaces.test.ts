import { transactionRaces } from '../support/carts/transactionRaces.ts';

/** The long form is `test/long/transactionRaces.test.ts`. */
transactionRaces(Number(process.env['STOCKGATE_TEST_RACES'] ?? 100));
