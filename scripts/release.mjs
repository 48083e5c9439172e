import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

// npm run release -- <version>: the commit and the tag of a release, in the folder that it is called in. Nothing leaves the
// machine.
const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).trim();
const git = (...args) => run('git', ...args);
/** The files that name the version: each has the previous one exactly once. */
const filesWithVersion = {
  'docker-compose.yml': (version) => `image: fltr-webhooks:${version}\n`,
  'src/api/openapi.json': (version) => `"version": "${version}"`,
};
const unreleased = '## [Unreleased]\n';

function refuse(message) {
  console.error(message);
  process.exit(1);
}

/** @returns the text with one thing in it replaced */
function replaced(file, from, to) {
  const parts = readFileSync(file, 'utf8').split(from);
  if (parts.length !== 2) refuse(`${file} must have ${JSON.stringify(from)} exactly once.`);
  return parts.join(to);
}

const [version = ''] = process.argv.slice(2);
if (!/^\d+\.\d+\.\d+(-[0-9a-z.-]+)?$/.test(version)) refuse('Usage: npm run release -- 1.2.3');
if (git('status', '--porcelain') !== '')
  refuse('There are changes that are not committed. Commit them first.');
const branch = git('branch', '--show-current');
if (branch !== 'main') refuse(`A release is made on main, and this is ${branch || 'no branch'}.`);
if (git('tag', '--list', `v${version}`) !== '') refuse(`v${version} has been released: there is a tag.`);
const [, entries = ''] =
  /^## \[Unreleased\]\n(.*?)(?=^## |$(?![\s\S]))/ms.exec(readFileSync('CHANGELOG.md', 'utf8')) ?? [];
if (!/^- /m.test(entries)) refuse('CHANGELOG.md has no entry under Unreleased.');

const { version: before, private: isPrivate } = JSON.parse(readFileSync('package.json', 'utf8'));
const date = new Date().toISOString().slice(0, 10);
const texts = {
  'CHANGELOG.md': replaced('CHANGELOG.md', unreleased, `${unreleased}\n## [${version}] - ${date}\n`),
};
for (const [file, line] of Object.entries(filesWithVersion)) {
  texts[file] = replaced(file, line(before), line(version));
}
for (const [file, text] of Object.entries(texts)) writeFileSync(file, text);
run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version', '--ignore-scripts');
git('commit', '--quiet', '--all', '--allow-empty', '--message', `Release ${version}`);
git('tag', '--annotate', `v${version}`, '--message', `Release ${version}`);
console.log(`Committed and tagged as v${version}. To publish it, once its tests have passed:

  git push --atomic origin main v${version}
  docker build -t fltr-webhooks:${version} .
${isPrivate ? '' : '  npm publish\n'}
To take it back before that: git tag -d v${version} && git reset --hard HEAD~`);
