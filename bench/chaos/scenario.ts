import fc from 'fast-check';
import type { Role } from '../../src/app.ts';
import { deliveryActions } from '../../src/contracts/operation.ts';
import type { OperationStep } from './act-operations.ts';
import type { Outage, Response } from './act-outages.ts';
import { policyNames, type Policy } from './policies.ts';
import { behaviours, type Behaviour } from './receivers.ts';
import type { DeliveryRow } from './rows.ts';

type Status = DeliveryRow['status'];

/**
 * One step of a run. Numbers that choose a webhook or a delivery are taken modulo how many there are, so every step means
 * something in every list of steps: a shorter list can be run as it is.
 */
export type Command =
  | { do: 'publish'; type: number; times: number }
  | { do: 'publishWithKey'; type: number; times: number }
  | { do: 'publishBatch'; count: number; times: number; withKey: boolean }
  | { do: 'publishMeanwhile'; publishers: number; each: number; withKey: boolean; everyMs: number }
  /** `inMs` null: at once. `expiresMs` null: never. `named`: for one webhook alone. */
  | {
      do: 'publishWithOptions';
      type: number;
      inMs: number | null;
      expiresMs: number | null;
      named: boolean;
      webhook: number;
    }
  | { do: 'defineType'; strict: boolean }
  | { do: 'createWebhook'; filters: number; active: boolean; behaviour: Behaviour; order: Order }
  | { do: 'setActive'; webhook: number; active: boolean; discard: boolean }
  | { do: 'toggle'; webhook: number; times: number; everyMs: number }
  | { do: 'setPolicy'; webhook: number; policy: Policy }
  | ({ do: 'takeDown' } & Outage)
  | ({ do: 'respondGone'; isBack: boolean } & Response)
  | ({ do: 'respondBusy' } & Response)
  | ({ do: 'respondLate' } & Response)
  | { do: 'pauseUntil'; webhook: number; ms: number }
  | { do: 'resume'; webhook: number; perSecond: number | null }
  | { do: 'deleteWebhook'; webhook: number }
  | { do: 'rotateSecret'; webhook: number }
  | { do: 'recover'; webhook: number; onlyFailed: boolean }
  | { do: 'behave'; webhook: number; behaviour: Behaviour }
  | { do: 'cancel'; delivery: number; status: Status; count: number }
  | { do: 'retry'; delivery: number; status: Status; count: number }
  | { do: 'reschedule'; delivery: number; status: Status; isFar: boolean }
  | ({ do: 'actOnMany' } & OperationStep)
  | { do: 'changeCap'; cap: number }
  | { do: 'changeAccountCap'; cap: number | null }
  | { do: 'passHours'; hours: number }
  | { do: 'removeOldRows' }
  | { do: 'cutConnections'; times: number }
  | { do: 'restartPostgres'; downMs: number }
  | { do: 'killTemporal'; downMs: number }
  | { do: 'killProcess'; process: number; downMs: number }
  | { do: 'restartProcess'; process: number }
  | { do: 'pauseProcess'; process: number; ms: number }
  | { do: 'pause'; ms: number };
export type CommandName = Command['do'];

/** Of a new webhook; `blocking`: by key, and a failed delivery holds up those behind it. */
export const orders = ['none', 'by_key', 'by_key', 'all', 'blocking'] as const;
export type Order = (typeof orders)[number];

export type Scenario = {
  roles: [Role, Role];
  cap: number;
  /** The product's FLTR_DELIVERIES_PER_WORKFLOW. */
  perWorkflow: number;
  /** Whether every webhook is activated before the end: then nothing may stay held. */
  activateAtEnd: boolean;
  commands: Command[];
};

/** As far ahead as a test may schedule, and no run may see. */
export const farMs = 29 * 86_400_000;

const number = (max: number, min = 0) => fc.integer({ min, max });
const webhook = number(5);
const delivery = number(30);
const processIndex = number(1);
const downMs = fc.constantFrom(0, 200, 800, 2000);
const behaviour = fc.constantFrom<Behaviour>(...behaviours, 'good', 'good', 'slow');
const some = fc.constantFrom(1, 1, 2, 20);

/** The arbitraries of a command's fields. */
type Fields<Do extends CommandName> = {
  [K in Exclude<keyof Extract<Command, { do: Do }>, 'do'>]: fc.Arbitrary<Extract<Command, { do: Do }>[K]>;
};
const commands: { [Do in CommandName]: { weight: number; fields: Fields<Do> } } = {
  publish: { weight: 8, fields: { type: number(2), times: fc.constantFrom(1, 1, 1, 2) } },
  publishWithKey: { weight: 5, fields: { type: number(2), times: fc.constantFrom(1, 2, 3) } },
  publishBatch: {
    weight: 8,
    fields: { count: number(16, 1), times: fc.constantFrom(1, 1, 2), withKey: fc.boolean() },
  },
  publishMeanwhile: {
    weight: 10,
    fields: {
      publishers: number(8, 1),
      each: number(12, 1),
      withKey: fc.boolean(),
      everyMs: fc.constantFrom(0, 20, 100),
    },
  },
  publishWithOptions: {
    weight: 12,
    fields: {
      type: number(2),
      inMs: fc.constantFrom(null, 0, 500, 2000, 6000, farMs),
      expiresMs: fc.constantFrom(null, null, 500, 2500, 8000),
      named: fc.boolean(),
      webhook,
    },
  },
  defineType: { weight: 3, fields: { strict: fc.boolean() } },
  createWebhook: {
    weight: 4,
    fields: { filters: number(4), active: fc.boolean(), behaviour, order: fc.constantFrom(...orders) },
  },
  setActive: {
    weight: 6,
    fields: { webhook, active: fc.boolean(), discard: fc.constantFrom(false, false, false, true) },
  },
  toggle: { weight: 6, fields: { webhook, times: number(8, 2), everyMs: fc.constantFrom(0, 30, 150, 400) } },
  takeDown: {
    weight: 22,
    fields: {
      webhook,
      more: fc.constantFrom(1, 5, 15, 40),
      ms: fc.constantFrom(0, 1000, 3000),
      end: fc.constantFrom('probe', 'probe', 'twice', 'hours', 'stays'),
    },
  },
  respondGone: { weight: 8, fields: { webhook, events: number(12, 1), isBack: fc.boolean() } },
  respondBusy: { weight: 8, fields: { webhook, events: number(12, 1) } },
  respondLate: { weight: 4, fields: { webhook, events: number(6, 1) } },
  setPolicy: { weight: 12, fields: { webhook, policy: fc.constantFrom<Policy>(...policyNames) } },
  pauseUntil: { weight: 2, fields: { webhook, ms: fc.constantFrom(1000, 2500) } },
  resume: { weight: 2, fields: { webhook, perSecond: fc.constantFrom(null, 2, 10) } },
  deleteWebhook: { weight: 1, fields: { webhook } },
  rotateSecret: { weight: 1, fields: { webhook } },
  recover: { weight: 2, fields: { webhook, onlyFailed: fc.boolean() } },
  behave: { weight: 6, fields: { webhook, behaviour } },
  cancel: {
    weight: 4,
    fields: { delivery, status: fc.constantFrom<Status>('pending', 'retrying', 'held'), count: some },
  },
  retry: {
    weight: 5,
    fields: {
      delivery,
      status: fc.constantFrom<Status>('pending', 'retrying', 'failed', 'delivered'),
      count: some,
    },
  },
  reschedule: {
    weight: 4,
    fields: { delivery, status: fc.constantFrom<Status>('pending', 'retrying'), isFar: fc.boolean() },
  },
  actOnMany: {
    weight: 4,
    fields: {
      webhook,
      action: fc.constantFrom(...deliveryActions),
      perSecond: fc.constantFrom(5, 50, 1000),
      next: fc.constantFrom('nothing', 'nothing', 'pause', 'cancel'),
    },
  },
  changeCap: { weight: 1, fields: { cap: fc.constantFrom(0, 4, 8, 20, 100) } },
  changeAccountCap: { weight: 2, fields: { cap: fc.constantFrom(null, 0, 4, 8, 20, 100) } },
  passHours: { weight: 4, fields: { hours: fc.constantFrom(1, 1, 2) } },
  removeOldRows: { weight: 1, fields: {} },
  cutConnections: { weight: 3, fields: { times: fc.constantFrom(1, 3, 8) } },
  restartPostgres: { weight: 2, fields: { downMs } },
  killTemporal: { weight: 2, fields: { downMs } },
  killProcess: { weight: 4, fields: { process: processIndex, downMs } },
  restartProcess: { weight: 2, fields: { process: processIndex } },
  pauseProcess: {
    weight: 2,
    fields: { process: processIndex, ms: fc.constantFrom(1000, 2500, 5000, 12_000) },
  },
  pause: { weight: 8, fields: { ms: fc.constantFrom(200, 500, 1500) } },
};
export const commandNames = Object.keys(commands) as CommandName[];

/** Scenarios of the named commands. Three lists, so that few scenarios are very short. */
export function scenarios(names: readonly CommandName[]): fc.Arbitrary<Scenario> {
  const choices = names.map((name) => ({
    weight: commands[name].weight,
    arbitrary: fc.record({ do: fc.constant(name), ...commands[name].fields }) as fc.Arbitrary<Command>,
  }));
  const list = fc.array(fc.oneof(...choices), { maxLength: 14, size: 'max' });
  return fc.record({
    // First: fast-check shrinks the fields in this order.
    commands: fc.tuple(list, list, list).map((lists) => lists.flat()),
    roles: fc.constantFrom<[Role, Role]>(['up', 'up'], ['api', 'worker'], ['up', 'worker']),
    // A webhook becomes paced within an hour only if its cap allows the failures.
    cap: fc.constantFrom(100, 100, 100, 20, 8, 4, 0, 0),
    perWorkflow: fc.constantFrom(64, 1),
    activateAtEnd: fc.boolean(),
  });
}

/** @example describeCommand({ do: 'pause', ms: 200 }) // 'pause ms=200' */
export function describeCommand({ do: name, ...fields }: Command): string {
  return [name, ...Object.entries(fields).map(([field, value]) => `${field}=${value}`)].join(' ');
}

export function describeScenario({ roles, commands: list, ...settings }: Scenario): string {
  const head = `${roles.join(' + ')}, ${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`;
  return [head, ...list.map((command, index) => `${index + 1}. ${describeCommand(command)}`)].join('\n');
}
