import { queryOptions } from '@tanstack/react-query';
import type { DeliverySummary } from '../contracts/delivery.ts';
import type { EventSummary } from '../contracts/event.ts';
import { api } from './session-api.ts';
import { liveMs } from './queries.ts';

/** Refetched until the delivery has ended. */
export const deliveryQuery = (id: string) =>
  queryOptions({
    queryKey: ['deliveries', 'one', id],
    queryFn: () => api.getDelivery(id),
    refetchInterval: ({ state }) => (state.data && state.data.ended_at === null ? liveMs : false),
  });

const hasEnded = ({ status }: EventSummary['deliveries'][number]): boolean =>
  status === 'delivered' || status === 'failed' || status === 'canceled';

/** Refetched until all deliveries of the event have ended. */
export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ['events', 'one', id],
    queryFn: () => api.getEvent(id),
    refetchInterval: ({ state }) => (state.data && !state.data.deliveries.every(hasEnded) ? liveMs : false),
  });

/** Delivery ids sort by time. */
export const orderOfDelivery = ({ id }: DeliverySummary): string => id;
export const orderOfEvent = ({ created_at, id }: EventSummary): string => `${created_at} ${id}`;
