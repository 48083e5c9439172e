import { Link } from '@tanstack/react-router';
import { subjectOf } from '../../contracts/problem.ts';
import { FltrWebhooksError } from '../../client/request.ts';

/** What went wrong, and what to do about it. */
export function describeError(error: unknown): { message: string; hint: string; requestId: string | null } {
  if (!(error instanceof FltrWebhooksError))
    return {
      message: error instanceof Error ? error.message : String(error),
      hint: 'Reload the page; if it comes again, tell whoever runs the service.',
      requestId: null,
    };
  const { status, message, requestId } = error;
  // What the API says to a program, of headers and keys, is of no use here.
  if (status === 401) return { message: 'Your session has ended.', hint: 'Sign in again.', requestId };
  return { message, hint: hintOf(status), requestId };
}

function hintOf(status: number): string {
  switch (status) {
    case 0:
      return 'Is the service running? Nothing was lost; try again when it answers.';
    case 403:
      return 'Sign in with a key that has this scope, or ask for one.';
    case 404:
      return 'It may have been deleted, or it belongs to another account.';
    case 409:
      return 'Somebody was faster, or a limit is reached. Reload and look again.';
    case 422:
      return 'Correct what is marked and send it again.';
    case 429:
      return 'Too many calls with this key: wait a moment.';
    case 503:
      return 'The service is busy or a part of it is away. Nothing was lost; try again in a moment.';
    default:
      return 'Try again; if it comes again, give the request id to whoever runs the service.';
  }
}

/** An error where it happened; announced to screen readers. Nothing where there is none. */
export function Problem({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  const { message, hint, requestId } = describeError(error);
  const hasSessionEnded = error instanceof FltrWebhooksError && error.status === 401;
  return (
    <div role="alert" className="notice notice-danger">
      <p>
        <strong>{message}</strong>{' '}
        {hasSessionEnded ? (
          <>
            <Link to="/sign-in" target="_blank">
              Sign in again
            </Link>{' '}
            in another tab, then come back: what you filled in is still here.
          </>
        ) : (
          hint
        )}
      </p>
      {requestId && <p className="muted small">Request id: {requestId}</p>}
    </div>
  );
}

/** What the API says of one field of a form, such as `/url`, as a sentence that stands beside it. */
export function fieldError(error: unknown, pointer: string): string | undefined {
  if (!(error instanceof FltrWebhooksError)) return undefined;
  const fault = error.errors.find(
    (each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`),
  );
  if (!fault) return undefined;
  const { message } = fault;
  const text = message.startsWith(`${subjectOf(pointer)} `)
    ? `It ${message.slice(subjectOf(pointer).length + 1)}`
    : message;
  return text.endsWith('.') ? text : `${text}.`;
}
