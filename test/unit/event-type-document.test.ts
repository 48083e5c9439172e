import { expect, test } from 'vitest';
import { readEventTypeDocument } from '../../src/cli/event-type-document.ts';
import { compileSchema } from '../../src/event-types/json-schema.ts';

const openApi = `
openapi: 3.1.0
info: { title: Shop, version: "1" }
webhooks:
  order.paid:
    post:
      summary: An order
        was paid.
      requestBody:
        content:
          application/json:
            schema: { $ref: '#/components/schemas/Order' }
            examples: { one: { value: { id: o1, lines: [{ sku: s1 }] } } }
  order.lost:
    $ref: '#/components/pathItems/Lost'
components:
  pathItems:
    Lost: { post: { description: Lost., deprecated: true, requestBody: { $ref: '#/components/requestBodies/Lost' } } }
  requestBodies:
    Lost: { content: { application/json: { schema: { type: object, properties: { id: { type: string } } } } } }
  schemas:
    Order:
      type: object
      required: [id]
      properties:
        id: { type: string }
        lines: { type: array, items: { $ref: '#/components/schemas/Line' } }
    Line: { type: object, required: [sku], properties: { sku: { type: string }, parts: { type: array, items: { $ref: '#/components/schemas/Line' } } } }
`;

test('the webhooks of an OpenAPI document, each with a schema that is whole by itself', () => {
  const [paid, lost] = readEventTypeDocument(openApi);
  expect(paid).toMatchObject({
    name: 'order.paid',
    definition: {
      description: 'An order was paid.',
      example: { id: 'o1', lines: [{ sku: 's1' }] },
      deprecated: false,
    },
  });
  expect(lost).toMatchObject({
    name: 'order.lost',
    definition: { description: 'Lost.', example: null, deprecated: true },
  });
  const compiled = compileSchema(paid?.definition.schema ?? {}, 'open');
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults));
  expect(compiled.check({ id: 'o', lines: [{ sku: 's', parts: [{ sku: 's' }] }] })).toEqual([]);
  expect(compiled.check({ id: 'o', lines: [{ sku: 's', parts: [{}] }] })).toEqual([
    { path: ['lines', '0', 'parts', '0', 'sku'], words: 'is missing' },
  ]);
});

const payload = { type: 'object', required: ['id'] };
const messages = {
  OrderPaid: { name: 'order.paid', title: 'Paid.', payload, examples: [{ payload: { id: 'o' } }] },
};

test.each([
  ['2.6.0', { orders: { subscribe: { message: { $ref: '#/components/messages/OrderPaid' } } } }],
  ['2.6.0', { orders: { publish: { message: { oneOf: [{ $ref: '#/components/messages/OrderPaid' }] } } } }],
  ['3.0.0', { orders: { messages: { paid: { $ref: '#/components/messages/OrderPaid' } } } }],
])('the messages of an AsyncAPI document, version %s', (asyncapi, channels) => {
  const text = JSON.stringify({ asyncapi, channels, components: { messages } });
  expect(readEventTypeDocument(text)).toEqual([
    {
      name: 'order.paid',
      definition: { description: 'Paid.', schema: payload, example: { id: 'o' }, deprecated: false },
    },
  ]);
});

test('a document that describes no events is an error', () => {
  expect(() => readEventTypeDocument('[]')).toThrow('it is not an object');
  expect(() => readEventTypeDocument('swagger: "2.0"')).toThrow('it has neither "openapi" nor "asyncapi"');
  expect(() => readEventTypeDocument('openapi: 3.1.0')).toThrow('it describes no webhooks and no messages');
  expect(() => readEventTypeDocument('{"openapi": ')).toThrow();
  const bomb = `openapi: 3.1.0\na: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefgh'
    .split('')
    .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join(', ')}]`)
    .join('\n')}`;
  expect(() => readEventTypeDocument(bomb)).toThrow(/alias/);
});
