import { z } from 'zod';

const fields = '(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}';

/** W3C Trace Context: version 00 has four fields; a later one may have more, of which the first four mean the same. */
export const traceparentPattern = new RegExp(
  `^(?:00-${fields}|(?!00|ff)[0-9a-f]{2}-${fields}(?:-[!-~]{0,200})?)$`,
);

export const traceparentSchema = z
  .string()
  .regex(traceparentPattern, 'must be a W3C traceparent: version-traceid-parentid-flags in lower-case hex')
  .meta({
    description:
      'The trace of the event (W3C Trace Context); takes precedence over the header `traceparent`. Each attempt sends it with a parent id of its own.',
    example: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  });
