import { setTimeout as delay } from 'node:timers/promises';
import { cancel, reschedule, retry } from './act-deliveries.ts';
import { actOnMany } from './act-operations.ts';
import { changeAccountCap, changeCap } from './act-caps.ts';
import {
  cutAll,
  killProcess,
  killTemporal,
  pauseProcess,
  restartPostgres,
  restartProcess,
} from './act-faults.ts';
import { respondBusy, respondGone, respondLate, takeDown } from './act-outages.ts';
import { pauseUntil, resume, setPolicy } from './act-policies.ts';
import { publish, publishBatch, publishMany, publishWithKey, publishWithOptions } from './act-publish.ts';
import { defineType } from './act-types.ts';
import {
  behave,
  createWebhook,
  deleteWebhook,
  recover,
  rotateSecret,
  setActive,
  toggle,
} from './act-webhooks.ts';
import { removeOldRows } from './old-rows.ts';
import type { Command } from './scenario.ts';
import { passHours } from './pass-hours.ts';
import type { World } from './world.ts';

/** Does one step. Faults and publishers continue in the background when it returns. */
export async function perform(world: World, command: Command): Promise<void> {
  switch (command.do) {
    case 'publish':
      return publish(world, command.type, command.times);
    case 'publishWithKey':
      return publishWithKey(world, command.type, command.times);
    case 'publishBatch':
      return publishBatch(world, command);
    case 'publishMeanwhile':
      return world.inBackground('publishing', publishMany(world, command));
    case 'publishWithOptions':
      return publishWithOptions(world, command);
    case 'defineType':
      return defineType(world, command.strict);
    case 'createWebhook':
      return createWebhook(world, command);
    case 'setActive':
      return setActive(world, command.webhook, command.active, command.discard);
    case 'toggle':
      return toggle(world, command.webhook, command.times, command.everyMs);
    case 'setPolicy':
      return setPolicy(world, command.webhook, command.policy);
    case 'takeDown':
      return takeDown(world, command);
    case 'respondGone':
      return respondGone(world, command);
    case 'respondBusy':
      return respondBusy(world, command);
    case 'respondLate':
      return respondLate(world, command);
    case 'pauseUntil':
      return pauseUntil(world, command.webhook, command.ms);
    case 'resume':
      return resume(world, command.webhook, command.perSecond);
    case 'deleteWebhook':
      return deleteWebhook(world, command.webhook);
    case 'rotateSecret':
      return rotateSecret(world, command.webhook);
    case 'recover':
      return recover(world, command.webhook, command.onlyFailed);
    case 'behave':
      return behave(world, command.webhook, command.behaviour);
    case 'cancel':
      return cancel(world, command.status, command.delivery, command.count);
    case 'retry':
      return retry(world, command.status, command.delivery, command.count);
    case 'reschedule':
      return reschedule(world, command.status, command.delivery, command.isFar);
    case 'actOnMany':
      return actOnMany(world, command);
    case 'changeCap':
      return changeCap(world, command.cap);
    case 'changeAccountCap':
      return changeAccountCap(world, command.cap);
    case 'passHours':
      await passHours(world, command.hours);
      return;
    case 'removeOldRows':
      return removeOldRows(world);
    case 'cutConnections':
      return cutAll(world, command.times);
    case 'restartPostgres':
      return restartPostgres(world, command.downMs);
    case 'killTemporal':
      return killTemporal(world, command.downMs);
    case 'killProcess':
      return killProcess(world, command.process, command.downMs);
    case 'restartProcess':
      return restartProcess(world, command.process);
    case 'pauseProcess':
      return pauseProcess(world, command.process, command.ms);
    case 'pause':
      return delay(command.ms);
  }
}
