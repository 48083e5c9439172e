import { z } from 'zod';

/** Settings of the connection to Temporal, by Temporal's own names. */
export const temporalSettings = {
  TEMPORAL_ADDRESS: {
    schema: z.string().regex(/^[^\s/]+:\d+$/, 'must be host:port'),
    meaning: "Temporal's gRPC address; unset: embedded Temporal with its Web UI",
  },
  TEMPORAL_NAMESPACE: {
    schema: z.string().min(1),
    default: 'default',
    meaning: 'namespace of the workflows',
  },
  TEMPORAL_API_KEY: {
    schema: z.string().min(1),
    meaning: 'API key for Temporal (switches TLS on)',
    isSecret: true,
  },
  TEMPORAL_TLS: { schema: z.stringbool(), default: 'false', meaning: 'TLS to Temporal' },
  TEMPORAL_TLS_CLIENT_CERT_PATH: {
    schema: z.string().min(1),
    meaning: 'client certificate (PEM) for mutual TLS',
  },
  TEMPORAL_TLS_CLIENT_KEY_PATH: { schema: z.string().min(1), meaning: "the client certificate's key (PEM)" },
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: {
    schema: z.string().min(1),
    meaning: 'certificate authority (PEM) to trust',
  },
  TEMPORAL_TLS_SERVER_NAME: {
    schema: z.string().min(1),
    meaning: 'host name expected in the server certificate',
  },
  TEMPORAL_UI_URL: {
    schema: z.url({ protocol: /^https?$/ }),
    meaning: "the Web UI's address, for links in the log; embedded Temporal fills it in",
  },
} as const;
