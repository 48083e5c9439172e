import { Link } from '@tanstack/react-router';
import { subjectOf } from '../../contracts/problem.ts';
import { FltrWebhooksError } from '../../client/request.ts';
import { isPortal } from '../portal.ts';

/** An error as a message and a hint. */
export function describeError(error: unknown): { message: string; hint: string; requestId: string | null } {
  if (!(error instanceof FltrWebhooksError))
    return {
      message: error instanceof Error ? error.message : String(error),
      hint: 'Reload the page. If it happens again, contact the operator of the service.',
      requestId: null,
    };
  const { status, message, requestId } = error;
  // The API's message is about headers and keys, which does not help here.
  if (status === 401)
    return {
      message: 'Your session has ended.',
      hint: isPortal
        ? 'Go back to the page that brought you here, and open this one again.'
        : 'Sign in again.',
      requestId,
    };
  // The API's message is about a header.
  if (error.code === 'service_key_required')
    return {
      message: 'Only a service key can open this.',
      hint: 'Sign in with a service key.',
      requestId,
    };
  return { message, hint: hintOf(status), requestId };
}

function hintOf(status: number): string {
  switch (status) {
    case 0:
      return 'Check that the service is running, then try again.';
    case 403:
      return isPortal
        ? 'The link that you opened does not allow it.'
        : 'Sign in with a key that has this scope.';
    case 404:
      return 'It may have been deleted, or it may belong to another account.';
    case 409:
      return 'It was changed in the meantime, or a limit is reached. Reload the page and check.';
    case 422:
      return 'Correct the marked fields and try again.';
    case 429:
      return 'Too many requests. Wait a moment and try again.';
    case 503:
      return 'The service is overloaded or partly unavailable. Try again in a moment.';
    default:
      return 'Try again. If it happens again, contact the operator with the request id.';
  }
}

/** An error notice, announced to screen readers. */
export function Problem({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  const { message, hint, requestId } = describeError(error);
  const hasSessionEnded = error instanceof FltrWebhooksError && error.status === 401;
  return (
    <div role="alert" className="notice notice-danger">
      <p>
        <strong>{message}</strong>{' '}
        {hasSessionEnded && !isPortal ? (
          <>
            <Link to="/sign-in" target="_blank">
              Sign in again
            </Link>{' '}
            in another tab, then return to this one. Your input is kept.
          </>
        ) : (
          hint
        )}
      </p>
      {requestId && <p className="muted small">Request id: {requestId}</p>}
    </div>
  );
}

/** The API's error for a form field, such as `/url`, as a sentence. */
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
