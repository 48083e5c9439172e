import { Toast } from '@base-ui/react/toast';
import { Button } from '../../components/button.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { describeError } from '../../components/problem-notice.tsx';
import { useScopeReason } from '../../components/scope.tsx';
import { api } from '../../session-api.ts';
import { useSubmission } from '../../submission.ts';

type Props = {
  deliveryId: string;
  /** Of the attempt. */
  number: number;
  /** Why its request cannot be signed; undefined if it can. */
  obstacle: string | undefined;
};

/** Has the request of an attempt signed, and copies it as a command line. Where the browser refuses, shows it. */
export function CopyAsCurl({ deliveryId, number, obstacle }: Props) {
  const { add } = Toast.useToastManager();
  const reason = useScopeReason('webhooks:write') ?? obstacle;
  const signing = useSubmission({
    async mutationFn() {
      const signed = api.signRequest(deliveryId, { attempt: number });
      const copied = copyLater(signed.then(({ curl }) => curl)).then(
        () => true,
        () => false,
      );
      return { ...(await signed), isCopied: await copied };
    },
    onSuccess({ isCopied, placeholders }) {
      if (!isCopied) return;
      const fill = placeholders.length > 0 ? ` Fill in ${placeholders.join(', ')}.` : '';
      add({
        title: 'curl command copied',
        description: `It is signed now: most receivers accept it for 5 minutes.${fill}`,
      });
    },
    onError: (error) =>
      add({
        title: 'The request was not signed',
        description: describeError(error).message,
        timeout: 0,
      }),
    // The signature is not kept longer than the page.
    gcTime: 0,
  });
  return (
    <>
      <Button
        look="small"
        disabledReason={reason}
        disabled={signing.isPending}
        onClick={() => signing.mutate()}
      >
        Copy as curl<span className="visually-hidden"> (attempt {number})</span>
      </Button>
      {signing.data && !signing.data.isCopied && (
        <CodeBlock label="curl command" name={`curl command of attempt ${number}`} text={signing.data.curl} />
      )}
    </>
  );
}

/** Begun during the click: a browser may refuse to copy after a response. */
async function copyLater(text: Promise<string>): Promise<void> {
  const blob = text.then((value) => new Blob([value], { type: 'text/plain' }));
  await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
}
