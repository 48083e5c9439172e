/** Saves rows as a file, one JSON object a line. The browser keeps the parts of a blob outside of the page's memory. */
export async function saveLines(fileName: string, rows: AsyncIterable<object>): Promise<void> {
  const parts: Blob[] = [];
  let lines: string[] = [];
  for await (const row of rows) {
    if (lines.push(`${JSON.stringify(row)}\n`) < 1000) continue;
    parts.push(new Blob(lines));
    lines = [];
  }
  const url = URL.createObjectURL(new Blob([...parts, ...lines], { type: 'application/x-ndjson' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  URL.revokeObjectURL(url);
}
