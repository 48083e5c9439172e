import { CodeBlock } from '../../components/code-block.tsx';
import { Table, type Column } from '../../components/table.tsx';
import { schemaRows, type SchemaRow } from '../../schema-rows.ts';

type Props = { event: string; schema: Record<string, unknown> };

/** The fields as a table, with the JSON Schema itself below; only the latter where it does not fit in a table. */
export function SchemaTable({ event, schema }: Props) {
  const rows = schemaRows(schema);
  const json = (
    <CodeBlock label="JSON Schema" name={`Schema of ${event}`} text={JSON.stringify(schema, null, 2)} />
  );
  if (rows === null) return json;
  return (
    <>
      <Table
        caption={`Fields of ${event}`}
        className="schema-table"
        columns={columns}
        rows={rows}
        keyOf={({ path }) => path}
        isFocusable
      />
      <details>
        <summary>Show the JSON Schema</summary>
        {json}
      </details>
    </>
  );
}

const columns: Column<SchemaRow>[] = [
  {
    name: 'Field',
    isRowHeader: true,
    cell: ({ name, path, depth }) => (
      <span style={{ paddingInlineStart: `${depth * 18}px` }} title={path}>
        {/* A screen reader has no indentation. */}
        {depth > 0 && <span className="visually-hidden">{path.slice(0, -name.length)}</span>}
        <code>{name}</code>
      </span>
    ),
  },
  { name: 'Type', cell: ({ type }) => type },
  { name: 'Required', cell: ({ isRequired }) => (isRequired ? 'required' : 'optional') },
  {
    name: 'Description',
    className: 'schema-text',
    cell: ({ description, constraints }) => (
      <>
        {description}
        {constraints.length > 0 && <div className="muted small">{constraints.join(' · ')}</div>}
      </>
    ),
  },
];
