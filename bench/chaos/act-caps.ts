import { inject } from './act-faults.ts';
import { accountId } from './act-types.ts';
import type { Model } from './model.ts';
import type { World } from './world.ts';

/** Changes the cap in force. While `work` runs, both caps may be: the old one's time ends when it is done. */
async function change(
  { model }: World,
  change: Partial<Pick<Model, 'capSetting' | 'accountCap'>>,
  work: () => Promise<void>,
): Promise<void> {
  Object.assign(model, change);
  const cap = model.accountCap ?? model.capSetting;
  const before = model.caps.at(-1);
  if (before?.cap === cap) return work();
  model.caps.push({ cap, from: Date.now(), to: Infinity });
  await work();
  if (before) before.to = Date.now();
}

/** Restarts one process after the other with another cap, as an operator does. 0: no cap. */
export async function changeCap(world: World, cap: number): Promise<void> {
  const { processes } = world;
  const restartAll = async (): Promise<void> => {
    for (let index = 0; index < processes.count; index += 1) {
      await processes.stop(index);
      processes.start(index, { FLTR_DELIVERIES_PER_HOUR: String(cap) });
      await processes.untilReady();
    }
  };
  await inject(world, 'cap changed', () => change(world, { capSetting: cap }, restartAll), true);
}

/** Gives the account a cap of its own, by a call, while attempts are made. Null: the setting's again. */
export async function changeAccountCap(world: World, cap: number | null): Promise<void> {
  const { model, serviceApi } = world;
  const call = async (): Promise<void> => {
    const response = await serviceApi('PUT', `/v1/accounts/${accountId}`, {
      body: { limits: { deliveries_per_hour: cap } },
      expect: [200],
      isRepeatable: true,
      patienceMs: 60_000,
    });
    if (response === null) model.faults.push("The account's cap could not be changed in a minute");
  };
  await world.joined('fault');
  world.inBackground('fault', change(world, { accountCap: cap }, call));
}
