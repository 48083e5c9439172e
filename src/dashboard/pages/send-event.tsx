import { PageHeader } from '../components/page-header.tsx';

export function SendEventPage() {
  return <PageHeader title="SendEventPage" />;
}
