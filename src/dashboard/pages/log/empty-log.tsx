import { Link } from '@tanstack/react-router';
import { CodeBlock } from '../../components/code-block.tsx';
import { EmptyState } from '../../components/empty-state.tsx';

const publishLine = `curl -X POST ${location.origin}/v1/events \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"event": "document.deleted", "data": {"document_id": "doc_1", "dataset_id": "ds_1"}}'`;

/** No delivery yet, or none that the filters let through. */
export function EmptyLog({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered)
    return (
      <EmptyState title="No delivery matches these filters">
        <p>There may be others: a wider time, another status or code shows them.</p>
        <Link to="/log" search={{}} className="button">
          Clear the filters
        </Link>
      </EmptyState>
    );
  return (
    <EmptyState title="No delivery yet">
      <p>
        Each event that you publish becomes one delivery for every webhook that is subscribed to its type.
        Here you will see what became of each: delivered, waiting for a retry, or failed, and why.
      </p>
      <div className="row">
        <Link to="/events/send" className="button button-primary">
          Send an event
        </Link>
        <Link to="/webhooks/new" className="button">
          Create webhook
        </Link>
      </div>
      <CodeBlock label="Or from a shell, with an API key in $KEY" text={publishLine} />
    </EmptyState>
  );
}
