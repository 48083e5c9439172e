export { deleteAccount } from './delete-account.ts';
export { deliverEvent } from './deliver-event.ts';
export { deliverGroup } from './deliver-group.ts';
export { evaluateAutoDisable } from './evaluate-auto-disable.ts';
export { runOperation } from './run-operation.ts';
export { removeOldRows } from './remove-old-rows.ts';
