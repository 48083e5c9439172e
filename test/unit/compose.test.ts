import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporalSettings } from '../../bench/temporal-server-config.ts';
import { readConfig, settingsTable } from '../../src/config.ts';
import { dynamicConfig } from '../../src/embedded/temporal.ts';
import { packageRoot } from '../../src/package-root.ts';

type Variables = Record<string, string>;

const read = (name: string) => readFileSync(join(packageRoot, name), 'utf8');
const compose = read('docker-compose.yml');
const dockerfile = read('Dockerfile');
const ourServices = ['webhooks', 'worker', 'migrate'] as const;

/** The lines below a key, one level less indented. */
function below(text: string, key: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`${key}:`));
  if (start < 0) throw new Error(`There is no ${key}`);
  const end = lines.findIndex((line, index) => index > start && /^\S/.test(line));
  return lines
    .slice(start + 1, end < 0 ? lines.length : end)
    .map((line) => line.slice(2))
    .join('\n');
}

/** The variables of an `environment:`; a line that is none, and that this does not know, is an error. */
function variablesIn(text: string): Variables {
  const variables: Variables = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z][A-Z0-9_]*): (.+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) variables[name] = value.replace(/^'(.*)'$/, '$1');
    else if (!/^(#.*|<<: \*settings|)$/.test(line)) throw new Error(`This is no variable: ${line}`);
  }
  return variables;
}

/** The environment of one of our services as written, before Compose fills in `${…}`. */
function environmentOf(service: (typeof ourServices)[number]): Variables {
  const text = below(below(compose, 'services'), service);
  if (!text.includes('<<: *service')) throw new Error(`${service} does not take over x-service`);
  const shared = variablesIn(below(below(compose, 'x-service'), 'environment'));
  if (!text.includes('environment:')) return shared;
  const own = below(text, 'environment');
  return { ...(own.includes('<<: *settings') ? shared : {}), ...variablesIn(own) };
}

/** As Compose does it: `${NAME:-default}` and `${NAME:?message}`. */
function fillIn(environment: Variables, from: Variables): Variables {
  const fill = (text: string) =>
    text.replaceAll(
      /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
      (_whole, name: string, kind: string, words: string) => {
        const given = from[name];
        if (given !== undefined && given !== '') return given;
        if (kind === '?') throw new Error(`${name}: ${words}`);
        return words ?? '';
      },
    );
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, fill(value)]));
}

/** A .env, made as the file's head explains. */
const secrets = {
  POSTGRES_PASSWORD: randomBytes(32).toString('hex'),
  DATABASE_PASSWORD: randomBytes(32).toString('hex'),
  TEMPORAL_DATABASE_PASSWORD: randomBytes(32).toString('hex'),
  FLTR_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
};

const imageEnvironment: Variables = Object.fromEntries(
  [...dockerfile.matchAll(/^ENV (.+)$/gm)].flatMap(([, list = '']) =>
    list.split(' ').map((pair) => pair.split('=') as [string, string]),
  ),
);

describe.each(ourServices)('the service %s', (service) => {
  test('it gets known settings only', () => {
    const known = settingsTable().flatMap(({ name, isSecret }) =>
      isSecret ? [name, `${name}_FILE`] : [name],
    );
    const names = Object.keys(environmentOf(service));
    expect(names).toContain('DATABASE_URL');
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('it starts in production with the secrets filled in', () => {
    const config = readConfig({ ...imageEnvironment, ...fillIn(environmentOf(service), secrets) });
    expect(config.FLTR_ENV).toBe('production');
    expect(config.HOST).toBe('0.0.0.0');
    expect(config.TEMPORAL_ADDRESS).toBe('temporal:7233');
    expect(new URL(config.DATABASE_URL ?? '').password).toBe(secrets.DATABASE_PASSWORD);
    expect(config.FLTR_ENCRYPTION_KEYS).toHaveLength(1);
  });
});

test('every secret is required, and its message explains how to make one', () => {
  const uses = [...compose.matchAll(/^ +(\w*(?:PASSWORD|PWD|KEYS|DATABASE_URL)): (.+)$/gm)];
  expect(uses).toHaveLength(6);
  for (const [, , value = ''] of uses) {
    expect(value).toMatch(/\$\{\w+:\?/);
    expect(() => fillIn({ value }, {})).toThrow(/openssl rand -(hex|base64) 32/);
    expect(() => fillIn({ value }, secrets)).not.toThrow();
  }
});

test('every image is pinned to a version', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const images = [...`${compose}\n${dockerfile}`.matchAll(/^(?: *image:|FROM) (\S+)/gm)].map(
    ([, image]) => image ?? '',
  );
  expect(images).toContain(`fltr-webhooks:${version}`);
  expect(images.filter((image) => !/^[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?$/.test(image))).toEqual([]);
  expect(images.length).toBeGreaterThanOrEqual(7);
});

test('every port is published on the loopback address only', () => {
  const ports = [...compose.matchAll(/^ +ports:(.*)$/gm)].map(([, list]) => list?.trim());
  expect(ports).toEqual(["['127.0.0.1:3000:3000']", "['127.0.0.1:8233:8080']"]);
  expect(environmentOf('webhooks')['PORT']).toBe('3000');
  expect(compose).not.toMatch(/network_mode|privileged/);
});

const temporal = variablesIn(below(below(below(compose, 'services'), 'temporal'), 'environment'));

test('Temporal has the settings that are measured and tested without containers', () => {
  expect(temporal).toMatchObject(temporalSettings);
  const content = below(below(below(compose, 'configs'), 'temporal-caches'), 'content');
  const limits = [...content.matchAll(/^(\S+):\n {2}- value: (\d+)$/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  expect(Object.fromEntries(limits)).toEqual(dynamicConfig);
  const target = /source: temporal-caches\n\s+target: (\S+)/.exec(compose)?.[1];
  expect(temporal['DYNAMIC_CONFIG_FILE_PATH']).toBe(target);
});

test("Temporal makes the service's namespace, with seven days of retention", () => {
  expect(temporal['DEFAULT_NAMESPACE']).toBe(environmentOf('webhooks')['TEMPORAL_NAMESPACE']);
  expect(temporal['DEFAULT_NAMESPACE_RETENTION']).toBe('168h');
});

test('the files that the Dockerfile copies exist, and the context contains them', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list = '']) =>
    list.split(' '),
  );
  const context = read('.dockerignore').split('\n');
  expect(copied).toContain('src/db/migrations');
  for (const path of copied) {
    expect(existsSync(join(packageRoot, path)), path).toBe(true);
    expect(context).toContain(`!${path.split('/')[0]}`);
  }
});

const parse = 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)';
const parsed = spawnSync('python3', ['-c', parse, join(packageRoot, 'docker-compose.yml')], {
  encoding: 'utf8',
});
const hasYaml =
  parsed.status === 0 || !/ModuleNotFoundError|ImportError/.test(parsed.stderr ?? 'ImportError');

test.skipIf(!hasYaml)('a YAML parser reads the same environments (python3 with PyYAML)', () => {
  const { services } = JSON.parse(parsed.stdout) as { services: Record<string, { environment: Variables }> };
  for (const service of ourServices) expect(services[service]?.environment).toEqual(environmentOf(service));
});

const hasCompose = spawnSync('docker', ['compose', 'version']).status === 0;

test.skipIf(!hasCompose)('Docker Compose takes the file', () => {
  const options = { cwd: packageRoot, encoding: 'utf8', env: { ...process.env, ...secrets } } as const;
  const config = spawnSync(
    'docker',
    ['compose', '--profile', 'workers', 'config', '--format', 'json'],
    options,
  );
  expect(config.status, config.stderr).toBe(0);
  const { services } = JSON.parse(config.stdout) as { services: Record<string, { environment: Variables }> };
  for (const service of ourServices) {
    expect(services[service]?.environment).toEqual(fillIn(environmentOf(service), secrets));
  }
});
