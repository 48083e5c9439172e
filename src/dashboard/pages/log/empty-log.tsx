import { Link } from '@tanstack/react-router';
import { CodeBlock } from '../../components/code-block.tsx';
import { EmptyState } from '../../components/empty-state.tsx';

const publishLine = `curl -X POST ${location.origin}/v1/events \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"event": "document.deleted", "data": {"document_id": "doc_1", "dataset_id": "ds_1"}}'`;

export function EmptyLog({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered)
    return (
      <EmptyState title="No deliveries match these filters">
        <p>Try a wider time range, or another status or code.</p>
        <Link to="/log" search={{}} className="button">
          Clear filters
        </Link>
      </EmptyState>
    );
  return (
    <EmptyState title="No deliveries yet">
      <p>
        Each published event becomes one delivery per webhook that subscribes to its type. This log shows the
        status of each delivery, and why it failed.
      </p>
      <div className="row">
        <Link to="/events/send" className="button button-primary">
          Send an event
        </Link>
        <Link to="/webhooks/new" className="button">
          Create webhook
        </Link>
      </div>
      <CodeBlock label="Or with curl, with an API key in $KEY" text={publishLine} />
    </EmptyState>
  );
}
