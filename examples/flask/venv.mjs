// Creates a virtual environment, once for each set of requirements, and prints the path of its python.
// Usage: node venv.mjs [arguments of pip install, else: -r requirements.txt]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const requirements = join(import.meta.dirname, 'requirements.txt');
const wanted = process.argv.slice(2);
const pipArguments = wanted.length > 0 ? wanted : ['-r', requirements];
const isWindows = process.platform === 'win32';
const systemPython = isWindows ? 'python' : 'python3';

function run(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    const why = error.code === 'ENOENT' ? 'it is not on PATH' : error.message;
    process.stderr.write(`${command} could not create a virtual environment: ${why}\n`);
    process.exit(1);
  }
}

const version = run(systemPython, ['--version']);
const hash = createHash('sha256')
  .update(JSON.stringify([version, pipArguments]))
  .update(wanted.length > 0 ? '' : readFileSync(requirements))
  .digest('hex');
const cache = join(import.meta.dirname, '../../node_modules/.cache/venv');
const folder = join(cache, hash.slice(0, 16));
const pythonIn = (parent) => join(parent, isWindows ? 'Scripts/python.exe' : 'bin/python');

if (!existsSync(folder)) {
  // Finished under a temporary name, then moved, so that another run never sees an unfinished one.
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  rmSync(unfinished, { recursive: true, force: true });
  run(systemPython, ['-m', 'venv', unfinished]);
  run(pythonIn(unfinished), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    ...pipArguments,
  ]);
  try {
    renameSync(unfinished, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(unfinished, { recursive: true, force: true });
  }
}
process.stdout.write(`${pythonIn(folder)}\n`);
