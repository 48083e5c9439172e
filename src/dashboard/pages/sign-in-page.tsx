import { useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { signIn } from '../session-api.ts';
import { FltrWebhooksError } from '../../client/request.ts';
import { Brand } from '../components/brand.tsx';
import { Button } from '../components/button.tsx';
import { Form, InputField } from '../components/field.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { sessionQuery } from '../queries.ts';
import { useSubmission } from '../submission.ts';

const route = getRouteApi('/sign-in');

/** Signs in with an API key, or with a one-time link: its token is in the URL's fragment, which is never sent. */
export function SignInPage() {
  const { next } = route.useSearch();
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const [key, setKey] = useState('');
  const entry = useSubmission({
    mutationFn: signIn,
    async onSuccess(session) {
      queryClient.clear();
      queryClient.setQueryData(sessionQuery.queryKey, session);
      await navigate({ href: next ?? '/webhooks', replace: true });
    },
  });
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const { mutate } = entry;
  useEffect(() => {
    const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
    if (token === undefined) return;
    history.replaceState(history.state, '', location.pathname + location.search);
    mutate({ token });
  }, [mutate]);
  return (
    <main className="standalone">
      <PageHeader
        eyebrow={
          <span className="brand">
            <Brand />
          </span>
        }
        title="Sign in"
        subtitle="Use an API key of your account. The browser does not store the key."
      />
      <Form className="card form" onSubmit={() => mutate({ key: key.trim() })}>
        <InputField
          label="API key"
          hint="It starts with fltr_ and was shown once, when it was created."
          type="password"
          ref={field}
          required
          value={key}
          onChange={setKey}
        />
        <SignInProblem error={entry.error} />
        <Button look="primary" type="submit" disabled={entry.isPending}>
          Sign in
        </Button>
      </Form>
      <p className="muted">
        No key? <code>npm start</code> prints one, with a one-time sign-in link. In production:{' '}
        <code>fltr-webhooks keys create --account …</code>
      </p>
    </main>
  );
}

/** The hint of `Problem` for 401, to sign in again, does not help here. */
function SignInProblem({ error }: { error: unknown }) {
  if (!(error instanceof FltrWebhooksError) || error.status !== 401) return <Problem error={error} />;
  return (
    <p role="alert" className="notice notice-danger">
      <strong>{error.message}</strong>
    </p>
  );
}
