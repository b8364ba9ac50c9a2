/**
 * The folders of the tests that `npm test` runs. In this order: the last ones turn on early refusals, which stay on for
 * all tests with the same shards.
 */
export const SUBJECTS = [
  ...['project', 'http', 'batching', 'mysql', 'orders'],
  ...['carts', 'hot', 'reconcile', 'process', 'precheck'],
] as const;

/** Folders with tests that only `npm run test:all` and `npm run test:long` run. */
export const SLOW_FOLDERS = ['long', 'whole'] as const;
