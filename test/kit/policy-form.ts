import type { Locator, Page } from 'playwright-core';

/** Opens the form's policy section, on the page or in a dialog. */
export const openPolicy = (form: Page | Locator): Promise<void> =>
  form.locator('summary').filter({ hasText: 'Policy' }).click();

/** The form to create a webhook for all events, with its policy section open. */
export async function openNew(page: Page, url: string): Promise<void> {
  await page.goto('/webhooks/new');
  await page.getByLabel('URL', { exact: true }).fill(url);
  await page.getByRole('checkbox', { name: '*', exact: true }).check();
  await openPolicy(page);
}

/** Creates the webhook. Returns its id once its page is open. */
export async function create(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'Create' }).click();
  await page.waitForURL(/\/webhooks\/wh_/);
  await facts(page).waitFor();
  return new URL(page.url()).pathname.split('/').at(-1) ?? '';
}

/** The dialog that edits a webhook, with its policy section open. */
export async function openEdit(page: Page, id: string): Promise<Locator> {
  await page.goto(`/webhooks/${id}`);
  await page.getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit webhook' });
  await openPolicy(dialog);
  return dialog;
}

export async function save(dialog: Locator): Promise<void> {
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
}

export const facts = (page: Page): Locator => page.getByRole('region', { name: 'Configuration' });
