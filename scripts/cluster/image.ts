import { basename } from 'node:path';
import type { ContainerRuntimeClient } from 'testcontainers';
import { identify, productName } from './installation.ts';
import type { ServerKind } from './installation.ts';
import { isAbandoned, ownPath } from './ownership.ts';

/** An image of a database server, on an engine that answers. */
export interface ContainerImage {
  readonly name: string;
  readonly kind: ServerKind;
  readonly version: string;
  /** For people: 'containers of mysql:8.4'. */
  readonly origin: string;
  readonly engine: ContainerRuntimeClient;
}

/** Says which process a container belongs to. */
const OWNER_LABEL = 'stockgate.owner';
/** Only the official MariaDB images of late have no program under MySQL's name. */
const PRINT_VERSION = 'command -v mysqld >/dev/null && exec mysqld --version; exec mariadbd --version';

/**
 * Finds an image, or has the engine pull it, and asks what is in it. What removes containers after a process that was killed is
 * started here too, unless TESTCONTAINERS_RYUK_DISABLED says that the next process is to do it.
 *
 * @param kinds what will do
 * @throws when no engine answers, or the image is not to be had or holds something else
 */
export async function findImage(
  name: string,
  kinds: readonly ServerKind[],
  say: (line: string) => void,
): Promise<ContainerImage> {
  // It takes a while to load, and few come down to this rung.
  const { getContainerRuntimeClient, getReaper, ImageName } = await import('testcontainers');
  const engine = await getContainerRuntimeClient();
  await removeAbandonedContainers();
  const image = ImageName.fromString(name);
  if (!(await engine.image.exists(image))) {
    say(`pulling ${name}`);
    await engine.image.pull(image);
  }
  await getReaper(engine).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `testcontainers cannot look after its containers (TESTCONTAINERS_RYUK_DISABLED=true does without): ${reason}`,
    );
  });
  const { stdout } = await run(engine, name);
  const identity = identify(stdout);
  if (!kinds.includes(identity.kind)) throw new Error(`${name} holds ${productName(identity)}`);
  return { name, ...identity, origin: `containers of ${name}`, engine };
}

/** The mark of a container that goes with this process. */
export function ownLabels(): Record<string, string> {
  return { [OWNER_LABEL]: basename(ownPath('container')) };
}

/** Removes what killed processes left, where nothing of testcontainers' own did. @throws when no engine answers */
export async function removeAbandonedContainers(): Promise<void> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const all = await dockerode.listContainers({ all: true, filters: { label: [OWNER_LABEL] } });
  const abandoned = all.filter(({ Labels: labels }) => isAbandoned(labels[OWNER_LABEL] ?? ''));
  // Somebody else may be removing the same.
  await Promise.all(
    abandoned.map(({ Id: id }) =>
      dockerode
        .getContainer(id)
        .remove({ force: true, v: true })
        .catch(() => undefined),
    ),
  );
}

/** Asks the program in the image for its version, past whatever the image does when it starts. */
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
