import { logoUrl, productName } from '../product.ts';

/** The product's logo and name. */
export function Brand() {
  return (
    <>
      <img src={logoUrl} alt="" width="24" height="24" />
      {productName}
    </>
  );
}
