import { Toast } from '@base-ui/react/toast';
import { useEffect, useRef, useState } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { describeError } from '../../components/problem-notice.tsx';
import { csvHead, csvLine } from '../../log/csv.ts';
import { saveRows } from '../../log/save-rows.ts';

type Rows = AsyncIterable<DeliverySummary> | Iterable<DeliverySummary>;

/** Exports deliveries to a file of the browser. */
export function useExport(webhooks: readonly Webhook[]) {
  const toasts = Toast.useToastManager();
  /** The rows so far; null: no export is running. */
  const [count, setCount] = useState<number | null>(null);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const urls = new Map(webhooks.map(({ webhook_id: id, url }) => [id, url]));
  const start = async (format: 'csv' | 'ndjson', rows: Rows): Promise<void> => {
    const controller = new AbortController();
    running.current = controller;
    setCount(0);
    const time = new Date().toISOString().slice(0, 16).replace(':', '-');
    try {
      await saveRows({
        rows,
        ...(format === 'csv' ? { head: csvHead } : {}),
        toLine: (row) => (format === 'csv' ? csvLine(row, (id) => urls.get(id)) : `${JSON.stringify(row)}\n`),
        type: format === 'csv' ? 'text/csv' : 'application/x-ndjson',
        fileName: `deliveries-${time}.${format}`,
        onProgress: setCount,
        signal: controller.signal,
      });
    } catch (error) {
      toasts.add({
        title: 'The export failed',
        description: describeError(error).message,
        timeout: 0,
      });
    } finally {
      setCount(null);
    }
  };
  return { count, start, stop: () => running.current?.abort() };
}
