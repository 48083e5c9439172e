import { dirname, join, relative, sep } from 'node:path';

/**
 * Who may import whom. A row names a folder or a file, and the imports that its files may have beside each other: folders and
 * files of this repository, packages, built-in modules. `type:` allows types only; `*` stands for everything that begins so. A
 * folder that no row names is refused.
 *
 * @type {Record<string, string>}
 */
const rows = {
  'src/contracts': `zod`,
  'src/client': `src/contracts  type:zod node:crypto`,
  'src/domain': `type:src/contracts workflows/contract.ts  uuidv7 node:crypto node:util`,
  workflows: `src/domain type:src/contracts type:activities  @temporalio/common @temporalio/workflow`,
  activities: `
    src/delivery src/dispatch src/db src/domain src/contracts src/errors.ts workflows/contract.ts
    @temporalio/activity @temporalio/common node:*`,
  'src/delivery': `src/db src/outbound src/security src/domain src/contracts src/errors.ts  node:*`,

  'src/security': `src/contracts type:src/setting-schemas.ts  lru-cache node:*`,
  'src/observability': `src/domain src/contracts src/errors.ts  pino prom-client node:*`,
  'src/outbound': `src/domain src/contracts src/errors.ts  ipaddr.js lru-cache nodemailer/* node:*`,
  'src/db': `src/domain src/contracts src/errors.ts src/every.ts src/package-root.ts  lru-cache pg node:*`,
  'src/event-types': `src/db src/domain src/contracts src/errors.ts  ajv re2js zod node:*`,
  'src/temporal': `
    activities type:src/db src/every.ts src/domain src/contracts src/errors.ts type:src/config.ts src/package-root.ts
    workflows/contract.ts  @temporalio/* type:pino node:*`,
  'src/dispatch': `
    src/db src/temporal src/every.ts src/domain src/contracts src/errors.ts workflows/contract.ts workflows/delivery-start.ts
    @temporalio/client @temporalio/common type:pino node:*`,
  'src/api': `
    src/delivery src/dispatch src/temporal src/db src/event-types src/outbound src/security src/observability src/domain
    src/contracts src/errors.ts type:src/call-counter.ts type:src/config.ts type:src/deps.ts src/package-root.ts src/sign-in-link.ts
    type:workflows/contract.ts
    express helmet ipaddr.js lru-cache zod @asteasolutions/zod-to-openapi type:pino node:*`,
  'src/outbox': `
    src/api src/db src/domain src/contracts src/errors.ts src/every.ts type:src/event-types type:src/observability type:src/deps.ts
    pg type:pino node:*`,
  'src/embedded': `@temporalio/client pg node:*`,
  'src/cli': `
    src/client src/db src/embedded src/security src/domain src/contracts src/errors.ts src/config.ts
    src/development-secrets.ts type:src/app.ts  commander lru-cache yaml type:zod node:*`,

  'src/dashboard': `
    src/client src/contracts src/domain/body-formats.ts src/domain/retry-policy.ts
    src/domain/subscription.ts  react react-dom @base-ui/react @tanstack/* zod`,
  'src/dashboard/vite.config.ts': `@vitejs/plugin-react vite node:path`,

  'src/supervisor': `
    src/app.ts src/call-counter.ts src/config.ts src/db src/development-secrets.ts src/embedded src/errors.ts
    src/observability src/prepare-database.ts src/require-ports.ts src/resolve-servers.ts src/security src/sign-in-link.ts
    lru-cache type:pino node:*`,

  'src/call-counter.ts': `lru-cache`,
  'src/errors.ts': ``,
  'src/every.ts': `node:events node:timers/promises`,
  'src/package-root.ts': `node:*`,
  'src/sign-in-link.ts': `src/db src/security`,
  'src/stops.ts': `type:pino`,
  'src/runtime.ts': `src/package-root.ts  node:*`,
  'src/setting-schemas.ts': `src/outbound  zod node:net`,
  'src/header-settings.ts': `src/contracts src/domain  zod`,
  'src/email-settings.ts': `src/domain  zod`,
  'src/encryption-settings.ts': `src/setting-schemas.ts  zod`,
  'src/page-settings.ts': `src/contracts  zod`,
  'src/temporal-settings.ts': `zod`,
  'src/config.ts': `
    src/setting-schemas.ts src/email-settings.ts src/encryption-settings.ts src/header-settings.ts src/page-settings.ts src/temporal-settings.ts src/errors.ts  zod node:fs`,
  'src/deps.ts': `type:*`,
  'src/development-secrets.ts': `
    src/db src/security src/errors.ts type:src/config.ts type:src/setting-schemas.ts  node:*`,
  'src/prepare-database.ts': `
    src/db src/development-secrets.ts src/security type:src/config.ts  type:pino`,
  'src/require-ports.ts': `src/errors.ts type:src/config.ts  node:net`,
  'src/listen.ts': `src/api src/errors.ts src/require-ports.ts  type:express node:*`,
  'src/resolve-servers.ts': `
    src/embedded src/config.ts src/errors.ts type:src/app.ts workflows/contract.ts  node:path`,
  'src/create-sending.ts': `
    src/contracts src/domain src/outbound src/temporal type:src/config.ts type:src/stops.ts  type:pino`,
  'src/start-api.ts': `
    src/api src/db src/deps.ts src/listen.ts src/observability src/require-ports.ts src/stops.ts  node:timers/promises`,
  'src/start-delivering.ts': `
    src/delivery src/dispatch src/temporal src/domain src/observability type:src/db type:src/outbound type:src/security
    type:src/config.ts type:src/stops.ts  type:pino`,
  'src/app.ts': `*`,
  'src/main.ts': `*`,

  test: `*`,
  bench: `*`,
  examples: `*`,
  scripts: `*`,
};

const root = join(import.meta.dirname, '..');

/** The longest name of a row that holds the path. */
const rowOf = (path) =>
  Object.keys(rows)
    .filter((name) => isIn(path, name))
    .sort((a, b) => b.length - a.length)[0];

const isIn = (name, allowed) =>
  allowed.endsWith('*')
    ? name.startsWith(allowed.slice(0, -1))
    : name === allowed || name.startsWith(`${allowed}/`);

/** @returns {boolean} whether a file of that row may import that, by a path from the root or by a package's name */
function isAllowed(row, target, isType) {
  if (isIn(target, row)) return true;
  return rows[row]
    .split(/\s+/)
    .some((word) =>
      word.startsWith('type:') ? isType && isIn(target, word.slice('type:'.length)) : isIn(target, word),
    );
}

const isTypeOnly = (node) =>
  node.importKind === 'type' ||
  node.exportKind === 'type' ||
  node.type === 'TSImportType' ||
  (node.specifiers?.length > 0 &&
    node.specifiers.every(({ importKind, exportKind }) => (importKind ?? exportKind) === 'type'));

const imports = {
  create(context) {
    const path = relative(root, context.filename).split(sep).join('/');
    const row = rowOf(path);
    const check = (node) => {
      const name = node.source?.value;
      if (row === undefined || typeof name !== 'string') return;
      const target = name.startsWith('.')
        ? relative(root, join(dirname(context.filename), name))
            .split(sep)
            .join('/')
        : name;
      if (isAllowed(row, target, isTypeOnly(node))) return;
      context.report({
        node,
        message: `${row} does not import ${target}. Its row in scripts/lint-imports.mjs names its allowed imports.`,
      });
    };
    return {
      Program(node) {
        if (row === undefined)
          context.report({ node, message: `No row in scripts/lint-imports.mjs is for ${path}.` });
      },
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    };
  },
};

export default { meta: { name: 'fltr' }, rules: { imports } };
