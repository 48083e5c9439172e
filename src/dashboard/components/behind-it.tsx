import { Link } from '@tanstack/react-router';
import { maxBehindCounted, type DeliverySummary } from '../../contracts/delivery.ts';
import { countText } from '../format.ts';

type Props = { delivery: Pick<DeliverySummary, 'webhook_id' | 'order_key' | 'blocks_line'> };

/** How many deliveries wait behind one that blocks its order, linked to the log. */
export function BehindIt({
  delivery: { webhook_id: webhookId, order_key: key, blocks_line: blocks },
}: Props) {
  if (!blocks || blocks.waiting === 0) return 'none waiting';
  return (
    <Link
      to="/log"
      search={{ webhook_id: webhookId, waits_for: 'order', ...(key !== null && { order_key: key }) }}
    >
      {countText(blocks.waiting, blocks.waiting >= maxBehindCounted)} waiting
    </Link>
  );
}
