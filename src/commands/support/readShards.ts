import { loadShards } from '../../config/shardsFile.ts';

/**
 * Reads a shards file with the passwords that the environment holds. It is the only reader of the environment among the
 * commands.
 *
 * @throws ConfigError that names each fault with its path
 */
export function readShards(file: string): ReturnType<typeof loadShards> {
  return loadShards(file, process.env);
}
