import { reservePort } from '../../bench/reserve-port.ts';
import { startProcess } from './process.ts';
import { untilReady, type Service } from './service.ts';

/** Another process with the API, on the database of a service. */
export async function startSecondApi({ env }: Service) {
  const port = await reservePort();
  const apiUrl = `http://127.0.0.1:${port}`;
  const child = startProcess(['api'], { ...env, PORT: String(port) });
  await untilReady(apiUrl, child);
  return {
    apiUrl,
    async stop(): Promise<void> {
      child.kill('SIGTERM');
      await child.exited();
    },
  };
}
