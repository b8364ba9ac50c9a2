import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { PAGE_FILES, PAGE_LICENCES } from '../../src/http/page/pageFiles.ts';
import { projectPath } from '../../src/projectPath.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { rawClient } from '../support/gateway/rawHttp.ts';

const TOKEN = 'token-of-an-operator';
const AUTHORIZATION = { Authorization: `Bearer ${TOKEN}` };

describe('the page of the API', () => {
  const client = rawClient();
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ STOCKGATE_ADMIN_TOKENS: TOKEN });
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  const read = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    client.call(gateway.adminUrl, { method, path, headers });
  const text = (file: string): string => readFileSync(projectPath(file), 'utf8');

  it('is answered without a token, as HTML that no cache keeps', async () => {
    for (const headers of [{}, AUTHORIZATION, { Authorization: 'Bearer wrong' }]) {
      const page = await read('/docs', headers);
      expect(page.status).to.equal(200);
      expect(page.headers).to.include({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
      expect(page.text).to.match(/^<!doctype html>/);
    }
    expect((await read('/docs?anything')).status).to.equal(200);
  });

  it('loads only files that the listener answers, with their content types', async () => {
    const { text: html } = await read('/docs');
    const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address);
    const files = named.filter((address) => !address.startsWith('data:'));
    const others = PAGE_FILES.filter(({ path }) => path !== '/docs');
    expect(files.map((address) => `/${address}`)).to.have.members(others.map(({ path }) => path));
    for (const { path, file, contentType } of PAGE_FILES) {
      const { status, headers, text: body } = await read(path);
      expect([status, headers['content-type']], path).to.deep.equal([200, `${contentType}; charset=utf-8`]);
      expect(headers, path).to.include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
      expect(body === text(file), path).to.equal(true);
    }
  });

  it('names no outside address, and may ask none', async () => {
    for (const { path, file } of PAGE_FILES.filter(({ file }) => file.startsWith('src/')))
      expect(text(file), path).to.not.match(/https?:|\/\/[a-z]+\.|@import/i);
    expect(text('node_modules/swagger-ui-dist/swagger-ui.css')).to.not.match(/@import|url\((?!["']?data:)/);
    const policy = String((await read('/docs')).headers['content-security-policy']);
    const directives = policy.split('; ').map((directive) => directive.split(' '));
    expect(directives.map(([name]) => name)).to.include.members([
      ...['default-src', 'script-src', 'style-src', 'img-src', 'connect-src'],
      ...['base-uri', 'form-action', 'frame-ancestors'],
    ]);
    for (const [name, ...sources] of directives)
      expect(name === 'img-src' ? ["'self'", 'data:'] : ["'self'", "'none'"], name).to.include.members(sources);
  });

  it('asks for the token by a form that cannot put it into an address', async () => {
    const { text: html } = await read('/docs');
    const [input = ''] = /<input[^>]*>/.exec(html) ?? [];
    expect(input).to.contain('type="password"').and.not.contain('name=');
    expect(text('src/http/page/page.js')).to.not.match(/localStorage|sessionStorage|cookie|location|history/);
    expect((await read('/openapi.json')).status).to.equal(401);
    expect((await read('/openapi.json', AUTHORIZATION)).body).to.include({ openapi: '3.1.0' });
  });

  it('answers HEAD without a body, and other methods with 405', async () => {
    for (const { path, file } of PAGE_FILES) {
      const head = await read(path, {}, 'HEAD');
      expect([head.status, head.text]).to.deep.equal([200, '']);
      expect(head.headers['content-length'], path).to.equal(String(Buffer.byteLength(text(file))));
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const { status, headers, body } = await read(path, {}, method);
        expect([status, headers.allow, body.code], `${method} ${path}`).to.deep.equal([
          405,
          'GET',
          'method_not_allowed',
        ]);
      }
    }
  });

  it('gives no other file', async () => {
    const paths = [
      ...['/docs/', '/docs/package.json', '/docs/../package.json', '/docs/../../package.json', '/docs/./page.js'],
      ...['/docs/..%2fpackage.json', '/docs/%2e%2e/package.json', '/docs/..%5cpackage.json', '/docs/page.js/'],
      // cspell:ignore fetc fpasswd
      ...['/docs/page.js%00', '/docs/page.js/../pageFiles.ts', '/docs//etc/passwd', '/docs/%2fetc%2fpasswd'],
      ...['/docs/swagger-ui-bundle.js.map', '/docs/index.html', '/docs/LICENSE', '/DOCS', '/docs/PAGE.JS', '/page.js'],
    ];
    for (const path of paths) {
      expect((await read(path)).status, path).to.equal(401);
      const { status, body } = await read(path, AUTHORIZATION);
      expect([status, body.code], path).to.deep.equal([404, 'not_found']);
    }
  });

  it('is on the admin listener only, and no call of the API', async () => {
    for (const { path } of PAGE_FILES)
      expect((await client.call(gateway.publicUrl, { method: 'GET', path })).status).to.equal(404);
    const { body } = await read('/openapi.json', AUTHORIZATION);
    expect(Object.keys(body.paths as object).filter((path) => path.startsWith('/docs'))).to.deep.equal([]);
  });

  it('has a renderer whose licence allows to ship it', () => {
    const { version, license } = JSON.parse(text('node_modules/swagger-ui-dist/package.json')) as Record<
      string,
      string
    >;
    const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> };
    expect([license, dependencies['swagger-ui-dist']]).to.deep.equal(['Apache-2.0', version]);
    for (const file of PAGE_LICENCES) expect(text(file), file).to.not.equal('');
  });
});
