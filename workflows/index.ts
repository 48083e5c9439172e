export { deliverEvent } from './deliver-event.ts';
export { evaluateAutoDisable } from './evaluate-auto-disable.ts';
