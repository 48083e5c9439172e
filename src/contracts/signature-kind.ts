/** The signatures that a request can have: `<prefix>Signature`, and `webhook-signature` of Standard Webhooks. */
export const signatureKinds = ['fltr', 'standard'] as const;
export type SignatureKind = (typeof signatureKinds)[number];
