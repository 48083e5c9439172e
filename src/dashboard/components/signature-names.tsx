/** The names of headers in a sentence. */
export function SignatureNames({ names }: { names: readonly string[] }) {
  return names.map((name, index) => (
    <span key={name}>
      {index > 0 && ' and '}
      <code>{name}</code>
    </span>
  ));
}
