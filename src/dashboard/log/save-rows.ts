/** Characters that are collected before they are handed to the browser, which keeps them outside of the page's memory. */
const chunkLength = 256 * 1024;

type Export<Row> = {
  rows: AsyncIterable<Row> | Iterable<Row>;
  /** The first line. */
  head?: string;
  toLine: (row: Row) => string;
  type: string;
  fileName: string;
  /** Called with the number of rows so far. */
  onProgress: (count: number) => void;
  signal: AbortSignal;
};

/** Saves rows as a file, one line each, as they arrive. Once it is aborted, nothing is saved. */
export async function saveRows<Row>(options: Export<Row>): Promise<void> {
  const { rows, head = '', toLine, type, fileName, onProgress, signal } = options;
  const parts: Blob[] = [];
  let text = head;
  let count = 0;
  for await (const row of rows) {
    if (signal.aborted) return;
    text += toLine(row);
    count += 1;
    if (text.length < chunkLength) continue;
    parts.push(new Blob([text]));
    text = '';
    onProgress(count);
  }
  if (signal.aborted) return;
  saveFile(new Blob([...parts, text], { type }), fileName);
}

function saveFile(content: Blob, fileName: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  // The browser has taken over the file by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
