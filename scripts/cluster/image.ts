import { basename } from 'node:path';
import type { ContainerRuntimeClient } from 'testcontainers';
import { identify, productName } from './install/installation.ts';
import type { ServerKind } from './install/installation.ts';
import { isAbandoned, ownPath } from './ownership.ts';
import { errorText } from '../../src/core/text/errorText.ts';

/** An image of a database server, on an engine that answers. */
export interface ContainerImage {
  readonly name: string;
  readonly kind: ServerKind;
  readonly version: string;
  /** For people: 'containers of mysql:8.4'. */
  readonly origin: string;
  readonly engine: ContainerRuntimeClient;
}

/** The label with the process that owns a container. */
const OWNER_LABEL = 'stockgate.owner';
/** Recent official MariaDB images have no program called mysqld; all other images have one. */
const PRINT_VERSION = 'command -v mysqld >/dev/null && exec mysqld --version; exec mariadbd --version';

/**
 * Finds an image, or makes the engine pull it, and reads the version of its server. Also starts the reaper, which
 * removes the containers of a killed process. With TESTCONTAINERS_RYUK_DISABLED the next process removes them instead.
 *
 * @param kinds the accepted products
 * @throws when no engine answers, or the image cannot be had or holds another product
 */
export async function findImage(
  name: string,
  kinds: readonly ServerKind[],
  say: (line: string) => void,
): Promise<ContainerImage> {
  // Loaded only here, because it is slow to load and containers are rarely used.
  const { getContainerRuntimeClient, getReaper, ImageName } = await import('testcontainers');
  const engine = await getContainerRuntimeClient();
  await removeAbandonedContainers();
  const image = ImageName.fromString(name);
  if (!(await engine.image.exists(image))) {
    say(`pulling ${name}`);
    await engine.image.pull(image);
  }
  await getReaper(engine).catch((error: unknown) => {
    const reason = errorText(error);
    throw new Error(
      `the reaper of testcontainers did not start (TESTCONTAINERS_RYUK_DISABLED=true works without it): ${reason}`,
    );
  });
  const { stdout } = await run(engine, name);
  const identity = identify(stdout);
  if (!kinds.includes(identity.kind)) throw new Error(`${name} holds ${productName(identity)}`);
  return { name, ...identity, origin: `containers of ${name}`, engine };
}

/** The labels of a container that is removed with this process. */
export function ownLabels(): Record<string, string> {
  return { [OWNER_LABEL]: basename(ownPath('container')) };
}

/** Removes containers of killed processes that the reaper has not removed. @throws when no engine answers */
export async function removeAbandonedContainers(): Promise<void> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const all = await dockerode.listContainers({ all: true, filters: { label: [OWNER_LABEL] } });
  const abandoned = all.filter(({ Labels: labels }) => isAbandoned(labels[OWNER_LABEL] ?? ''));
  // Another process may remove the same containers.
  await Promise.all(
    abandoned.map(({ Id: id }) =>
      dockerode
        .getContainer(id)
        .remove({ force: true, v: true })
        .catch(() => undefined),
    ),
  );
}

/** Runs the program in the image to print its version, without the entry point of the image. */
async function run(engine: ContainerRuntimeClient, name: string): Promise<{ stdout: string }> {
  const { dockerode } = engine.container;
  const container = await dockerode.createContainer({
    Image: name,
    Entrypoint: ['/bin/sh', '-c', PRINT_VERSION],
    Cmd: [],
    Tty: true,
    Labels: ownLabels(),
  });
  try {
    await container.start();
    await container.wait();
    return { stdout: (await container.logs({ stdout: true, stderr: true })).toString('utf8') };
  } finally {
    await container.remove({ force: true, v: true });
  }
}
