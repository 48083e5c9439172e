import { once } from 'node:events';
import { connect } from 'node:net';

/** Whether a server accepts connections on that port of 127.0.0.1. It never takes the port itself. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isAccepted = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isAccepted;
}
