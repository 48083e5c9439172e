import { changeSchema } from '../../contracts/change.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Stream');

export const streamRoutes = [
  defineRoute('get', '/v1/stream', 'streamChanges', {
    summary: 'Stream that something has changed, as server-sent events',
    description:
      'The response does not end. Its events are `ready`, when the stream has begun: read the data that you show; `changed`, when some of it has changed: read that again; and `ping`, every 15 seconds. The data of `changed` is JSON. The stream ends where changes may have been missed, when the process ends, and within a minute after the key is revoked or the session has ended. Then open another one, and poll until you have it. An account may have 100 open streams.',
    scope: 'webhooks:read',
    isStream: true,
    replies: { 200: { description: 'The events; the data of `changed`', schema: changeSchema } },
    handle: ({ key }) => Promise.resolve({ status: 200, streamOf: accountOf(key) }),
  }),
];
