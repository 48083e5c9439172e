import { PageHeader } from '../components/page-header.tsx';

export function NewWebhookPage() {
  return <PageHeader title="NewWebhookPage" />;
}
