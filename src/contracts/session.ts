import { z } from 'zod';

/** An API key, or the token of the sign-in link that `npm start` prints. */
export const signInSchema = z
  .strictObject({ key: z.string().min(1).max(200).optional(), token: z.string().min(1).max(200).optional() })
  .refine(({ key, token }) => (key === undefined) !== (token === undefined), 'must hold either key or token');

export type Session = {
  account_id: string;
  account_name: string;
  key_id: string;
  key_name: string;
  scopes: string[];
  expires_at: string;
};
