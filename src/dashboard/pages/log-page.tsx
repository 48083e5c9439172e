import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../session-api.ts';
import { useStableRows } from '../components/stable-rows.ts';
import { LoadMore } from '../components/load-more.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { Problem } from '../components/problem-notice.tsx';
import { Switch } from '../components/switch.tsx';
import { orderOfDelivery } from '../delivery-queries.ts';
import { useLiveList } from '../live-list.ts';
import { toDeliveryQuery } from '../log-search.ts';
import { EmptyLog } from './log/empty-log.tsx';
import { LogFilters } from './log/log-filters.tsx';
import { LogTable } from './log/log-table.tsx';

const route = getRouteApi('/signed-in/log');

export function LogPage() {
  const search = route.useSearch();
  const [isLive, setLive] = useState(true);
  const listKey = JSON.stringify(search);
  const log = useLiveList({
    queryKey: ['deliveries', 'log', search],
    list: (page) => api.listDeliveries({ ...toDeliveryQuery(search), ...page }),
    orderOf: orderOfDelivery,
    isLive,
  });
  const { shown, newCount, showNew } = useStableRows(log.rows, orderOfDelivery, listKey);
  return (
    <>
      <PageHeader
        title="Delivery log"
        subtitle="All deliveries: one per event and webhook."
        actions={<Switch label="Live" isOn={isLive} onChange={setLive} />}
      />
      <LogFilters search={search} />
      <Problem error={log.error} />
      {newCount > 0 && (
        <button type="button" className="button button-primary new-rows" onClick={showNew}>
          {newCount} new
        </button>
      )}
      {shown?.length === 0 && !log.isStale ? (
        <EmptyLog isFiltered={Object.values(search).some((value) => value !== undefined)} />
      ) : (
        <>
          <LogTable deliveries={shown} isStale={log.isStale} hasMore={log.hasMore} />
          {shown && (
            <LoadMore
              hasMore={log.hasMore}
              isLoading={log.isLoadingMore}
              loadMore={log.loadMore}
              total={`${shown.length} in total`}
            />
          )}
        </>
      )}
    </>
  );
}
