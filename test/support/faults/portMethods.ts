import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';
import { projectPath } from '../../../src/projectPath.ts';

/** The folder with a port in each file, and the file and the interface that list the ports of a back end. */
const PORTS = 'src/core/ports';
const LIST = 'src/app/backendPorts.ts';
const GATHERED_IN = 'BackendPorts';

/** One method of one port, named `port.method`. */
export interface PortMethod {
  readonly name: string;
  readonly port: string;
  readonly method: string;
  /** True when a caller awaits it, so that a fail-point can run before and after. */
  readonly isAwaited: boolean;
}

/**
 * The methods of all ports as the source declares them. Types do not exist at run time, and an adapter has more methods
 * than its port, so the declarations themselves are read. A new port or method is included without further work.
 *
 * @throws when a port has a member that is not a method, because nothing else can be decorated
 */
export function portMethods(): PortMethod[] {
  const files = [LIST, ...readdirSync(projectPath(PORTS)).map((file) => `${PORTS}/${file}`)];
  const interfaces = new Map(files.flatMap(interfacesIn).map((found) => [found.name.text, found]));
  return membersOf(interfaces, GATHERED_IN).flatMap((member) => {
    if (!ts.isPropertySignature(member) || member.type === undefined)
      throw new Error(`${member.getText()} is not a port`);
    const port = member.name.getText();
    return membersOf(interfaces, member.type.getText()).map((method) => {
      if (!ts.isMethodSignature(method))
        throw new Error(`${port}.${method.getText()} is not a method: it cannot be decorated`);
      const name = method.name.getText();
      return { name: `${port}.${name}`, port, method: name, isAwaited: /^Promise</.test(method.type?.getText() ?? '') };
    });
  });
}

function interfacesIn(file: string): ts.InterfaceDeclaration[] {
  const source = ts.createSourceFile(file, readFileSync(projectPath(file), 'utf8'), ts.ScriptTarget.ES2023, true);
  return source.statements.filter((statement) => ts.isInterfaceDeclaration(statement));
}

/** The members of an interface, those it inherits included. */
function membersOf(interfaces: ReadonlyMap<string, ts.InterfaceDeclaration>, name: string): ts.TypeElement[] {
  const declared = interfaces.get(name);
  if (declared === undefined) throw new Error(`there is no interface ${name} in ${LIST} or ${PORTS}`);
  const parents = (declared.heritageClauses ?? []).flatMap(({ types }) =>
    types.map((type) => type.expression.getText()),
  );
  return [...parents.flatMap((parent) => membersOf(interfaces, parent)), ...declared.members];
}
