import { z } from 'zod';
import { visibleText } from './visible-text.ts';

const id = z.string().min(1).max(200);
const text = z.string().max(10_000);
const count = z.int().min(0);
const freeForm = z.record(z.string(), z.unknown());

const documentRef = { document_id: id, dataset_id: id };

/** The `data` of each event type: ids are required, other fields optional, unknown ones refused. */
export const eventDataSchemas = {
  'document.uploaded': z.strictObject({
    ...documentRef,
    filename: text.optional(),
    size_bytes: count.optional(),
    status: text.optional(),
    metadata: freeForm.optional(),
  }),
  'document.processed': z.strictObject({
    ...documentRef,
    chunks_created: count.optional(),
    processing_time_ms: count.optional(),
    status: text.optional(),
    embedding_model: text.optional(),
  }),
  'document.deleted': z.strictObject({ ...documentRef, deleted_by: id.optional() }),
  'dataset.created': z.strictObject({
    dataset_id: id,
    name: text.optional(),
    description: text.optional(),
    is_public: z.boolean().optional(),
    created_by: id.optional(),
  }),
  'dataset.updated': z.strictObject({
    dataset_id: id,
    changes: freeForm.optional(),
    updated_by: id.optional(),
  }),
  'dataset.deleted': z.strictObject({
    dataset_id: id,
    document_count: count.optional(),
    deleted_by: id.optional(),
  }),
  'document.processing_failed': z.strictObject({
    ...documentRef,
    error: z.strictObject({ code: text, message: text, details: text.optional() }),
  }),
} as const;

/** Events of the service itself, such as a webhook that was disabled. */
export const operationalTypes = [
  'webhook.disabled',
  'webhook.warning',
  'webhook.down',
  'webhook.recovered',
  'webhook.secret_due',
  'delivery.failed',
] as const;
export type OperationalType = (typeof operationalTypes)[number];

/** The data of test events of these types. */
export const operationalExamples: Record<OperationalType, Record<string, unknown>> = {
  'webhook.disabled': { webhook_id: 'wh_01k', ended: 40, failed: 36, failure_rate: 0.9 },
  'webhook.warning': { webhook_id: 'wh_01k', ended: 40, failed: 22, failure_rate: 0.55 },
  'webhook.down': { webhook_id: 'wh_01k', since: '2024-01-10T12:00:00.000Z' },
  'webhook.recovered': { webhook_id: 'wh_01k', down_since: '2024-01-10T12:00:00.000Z' },
  'webhook.secret_due': { webhook_id: 'wh_01k' },
  'delivery.failed': {
    delivery_id: 'dlv_01k',
    webhook_id: 'wh_01k',
    event_id: 'evt_01k',
    event: 'document.processed',
    reason: 'retries_exhausted',
    attempts: 4,
  },
};

/** The types that are built in. */
export type BuiltInEventType = keyof typeof eventDataSchemas;
export const builtInEventTypes = Object.keys(eventDataSchemas) as [BuiltInEventType, ...BuiltInEventType[]];

type Example = { description: string; timestamp: string; data: Record<string, unknown> };

export const eventTypeExamples: Record<BuiltInEventType, Example> = {
  'document.uploaded': {
    description: 'A new document was uploaded.',
    timestamp: '2024-01-10T12:00:00Z',
    data: {
      document_id: 'doc_abc123',
      dataset_id: 'ds_xyz789',
      filename: 'product-docs.pdf',
      size_bytes: 1_048_576,
      status: 'processing',
      metadata: { title: 'Product Documentation', category: 'docs' },
    },
  },
  'document.processed': {
    description: 'Chunking and embedding of a document are complete.',
    timestamp: '2024-01-10T12:01:30Z',
    data: {
      document_id: 'doc_abc123',
      dataset_id: 'ds_xyz789',
      chunks_created: 47,
      processing_time_ms: 8450,
      status: 'ready',
      embedding_model: 'text-embedding-3-small',
    },
  },
  'document.deleted': {
    description: 'A document was deleted.',
    timestamp: '2024-01-10T12:05:00Z',
    data: { document_id: 'doc_abc123', dataset_id: 'ds_xyz789', deleted_by: 'user_xyz123' },
  },
  'dataset.created': {
    description: 'A new dataset was created.',
    timestamp: '2024-01-10T11:00:00Z',
    data: {
      dataset_id: 'ds_xyz789',
      name: 'Product Knowledge Base',
      description: 'Documentation for all products',
      is_public: false,
      created_by: 'user_xyz123',
    },
  },
  'dataset.updated': {
    description: "A dataset's metadata was updated.",
    timestamp: '2024-01-10T12:10:00Z',
    data: {
      dataset_id: 'ds_xyz789',
      changes: { name: 'Updated Product KB', description: 'All product documentation' },
      updated_by: 'user_xyz123',
    },
  },
  'dataset.deleted': {
    description: 'A dataset was deleted.',
    timestamp: '2024-01-10T13:00:00Z',
    data: { dataset_id: 'ds_xyz789', document_count: 42, deleted_by: 'user_xyz123' },
  },
  'document.processing_failed': {
    description: 'Processing of a document met an error.',
    timestamp: '2024-01-10T12:02:00Z',
    data: {
      document_id: 'doc_abc123',
      dataset_id: 'ds_xyz789',
      error: {
        code: 'invalid_pdf',
        message: 'PDF file is corrupted or encrypted',
        details: 'Unable to extract text from PDF',
      },
    },
  },
};

/** 2 to 6 parts. */
export const eventTypePattern = /^(?=.{1,100}$)[a-z0-9_]+(\.[a-z0-9_]+){1,5}$/;
const nameRule = 'must be 2 to 6 parts of a-z, 0-9 and _, joined by full stops, 100 characters at most';
export const eventTypeSchema = z
  .string()
  .regex(eventTypePattern, nameRule)
  .meta({ id: 'EventType', example: 'document.processed' });

const families = /^(?=.{1,102}$)[a-z0-9_]+(\.[a-z0-9_]+){0,4}\.\*$/;
const filterPattern = new RegExp(`^\\*$|${families.source}|${eventTypePattern.source}`);
/** An entry of a webhook's `events`: a type, all types that begin with the same parts, or `*`. */
export const eventFilterSchema = z
  .string()
  .regex(filterPattern, 'must be a type such as order.paid, a family such as order.*, or *')
  .meta({
    id: 'EventFilter',
    example: 'document.*',
    description:
      'A type, a family such as `document.*`, or `*` for all types but those of operational events. Operational events by name, or as `webhook.*`, `delivery.*`.',
  });

export const maxSchemaBytes = 64 * 1024;
const jsonObject = (description: string) =>
  z
    .custom<Record<string, unknown>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      'must be an object',
    )
    .meta({ type: 'object', additionalProperties: {}, description });

const validations = ['strict', 'open', 'none'] as const;
const schemaText = 'JSON Schema (2020-12) of `data`.';
const exampleText = 'An example of `data`. Test events and `trigger` send it.';
const deprecated = z.boolean().meta({ description: 'It can still be published.' });
const validation = z.enum(validations).meta({
  description:
    '`strict`: `data` must match the schema, and a field that it does not name is refused. `open`: `data` must match the schema. `none`: the schema is documentation only.',
});

/** An event type as the API and the file of types define it. */
export const eventTypeDefinitionSchema = z
  .strictObject({
    description: visibleText.max(500, 'must have at most 500 characters'),
    schema: jsonObject(
      `${schemaText} At most 64 KiB and 500 subschemas; a \`$ref\` leads to a part of the same schema; patterns are those of RE2; \`format\` is documentation only.`,
    )
      .nullable()
      .optional(),
    example: jsonObject(exampleText).nullable().optional(),
    validation: validation.default('open'),
    deprecated: deprecated.default(false),
  })
  .meta({ id: 'EventTypeDefinition' });
export type EventTypeDefinition = z.output<typeof eventTypeDefinitionSchema>;

export const eventTypeInfoSchema = z
  .object({
    event: z.string(),
    description: z.string(),
    schema: z.record(z.string(), z.unknown()).nullable().meta({ description: schemaText }),
    example: z.record(z.string(), z.unknown()).nullable().meta({ description: exampleText }),
    validation,
    deprecated,
    source: z.enum(['built_in', 'file', 'api']).meta({ description: 'Where it is defined.' }),
  })
  .meta({ id: 'EventTypeInfo' });
export type EventTypeInfo = z.output<typeof eventTypeInfoSchema>;
