/** The state of an account's first steps, kept in the browser. Without storage, it lasts until the page is left. */
type Remembered = {
  isDismissed?: boolean;
  /** A test event was delivered to this webhook. */
  testedWebhookId?: string;
};

const nameOf = (accountId: string) => `fltr-first-steps-${accountId}`;

export function readFirstSteps(accountId: string): Remembered {
  try {
    return JSON.parse(localStorage.getItem(nameOf(accountId)) ?? '{}') as Remembered;
  } catch {
    return {};
  }
}

export function writeFirstSteps(accountId: string, steps: Remembered): void {
  try {
    localStorage.setItem(nameOf(accountId), JSON.stringify(steps));
  } catch {
    // Without storage.
  }
}
