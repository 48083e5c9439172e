/** The service puts the product's name and logo into the page, as its title and its icon. */
export const productName = document.title;
export const logoUrl = document.querySelector<HTMLLinkElement>('link[rel="icon"]')?.href ?? '/icon.svg';
