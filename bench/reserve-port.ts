import { createSocket } from 'node:dgram';
import { choosePort } from '../src/embedded/free-port.ts';

/**
 * A free port of 127.0.0.1 for a server that is started later, and maybe again. Until this process ends, no caller of this
 * function gets it, in any process: it holds the UDP port of that number, which a TCP server does not need.
 */
export async function reservePort(): Promise<number> {
  for (;;) {
    const port = await choosePort('127.0.0.1', []);
    if (await holdUdp(port)) return port;
  }
}

function holdUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address: '127.0.0.1', port, exclusive: true }, () => resolve(true));
  });
}
