import { z } from 'zod';

const id = z.string().min(1).max(200);
const text = z.string().max(10_000);
const count = z.int().min(0);
const freeForm = z.record(z.string(), z.unknown());

const documentRef = { document_id: id, dataset_id: id };

/** What `data` of each event type holds: ids are required, the rest may be left out, anything else is refused. */
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
  'webhook.secret_due',
  'delivery.failed',
] as const;
export type OperationalType = (typeof operationalTypes)[number];

export type EventType = keyof typeof eventDataSchemas;
export const eventTypes = Object.keys(eventDataSchemas) as [EventType, ...EventType[]];
export const eventTypeSchema = z.enum(eventTypes).meta({ id: 'EventType', example: 'document.processed' });

type Example = { description: string; timestamp: string; data: Record<string, unknown> };

export const eventTypeExamples: Record<EventType, Example> = {
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

export const eventTypeInfoSchema = z
  .object({
    event: eventTypeSchema,
    description: z.string(),
    schema: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema (2020-12) of `data`.' }),
    example: z.object({
      event: eventTypeSchema,
      timestamp: z.iso.datetime(),
      data: z.record(z.string(), z.unknown()),
    }),
  })
  .meta({ id: 'EventTypeInfo' });
