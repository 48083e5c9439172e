const reservedHeaders = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive']);

/**
 * Throws a `TypeError` for a header that a caller may not set, or a value that would break out of its line.
 *
 * @example assertHeaders({ 'X-FLTR-Event': 'document.processed' })
 */
export function assertHeaders(headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/i.test(name) || reservedHeaders.has(name.toLowerCase())) {
      throw new TypeError(`"${name}" is not a header that a caller may set`);
    }
    // A line break in a value would add headers, or a whole request, of somebody else's choice.
    if (!/^[\u0020-\u007e\u00a0-\u00ff]*$/.test(value)) {
      throw new TypeError(`the value of header ${name} has a character that may not be sent`);
    }
  }
}
