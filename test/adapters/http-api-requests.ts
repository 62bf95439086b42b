import fc from "fast-check";

/** As much of OpenAPI 3.1 as the API's own description uses. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface DocumentedOperation {
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: "path" | "query" | "header";
    readonly schema: Schema;
  }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
  };
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

type Parameter = NonNullable<DocumentedOperation["parameters"]>[number];

/** One method of one path, with its schemas resolved. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Null when it takes none. */
  readonly body: { readonly type: string; readonly schema: Schema } | null;
  readonly resolve: (schema: Schema) => Schema;
}

/** A request, and the operation that it was made from. */
export interface HostileRequest {
  readonly operation: Operation;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

export function operationsOf(document: ApiDocument): Operation[] {
  const resolve = (schema: Schema): Schema => {
    const name = schema.$ref?.split("/").at(-1);
    return name === undefined ? schema : resolve(document.components.schemas[name] ?? {});
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => {
      const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
      const body = type === undefined || content === undefined ? null : { type, schema: content.schema };
      return { method: method.toUpperCase(), path, parameters, body, resolve };
    }),
  );
}

const HOSTILE_TEXTS = [
  "",
  "hello",
  "i-1",
  "1",
  "0",
  "-1",
  "1000000000",
  "9007199254740993",
  "1e9",
  "NaN",
  "true",
  "null",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "a/b",
  "a%2fb",
  "\u0000",
  "\u001b[2J\r\nx: y",
  "\u202eevil",
  "\ud800",
  "ß",
  "hello.",
  "HELLO",
  "%",
  "' OR 1=1 --",
  "shop.example.com",
  "x".repeat(300),
  "é".repeat(3_000),
];

const HOSTILE_NUMBERS = [0, 1, 2, -1, 1.5, 1e9, 2 ** 53, -(2 ** 53), 1e308, 256, 65_536];

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
);

const json: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.constantFrom(...HOSTILE_NUMBERS),
  fc.constantFrom(null, true, [], {}, [[]]),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A value of the schema, often enough with something else somewhere in it. */
function valueOf(schema: Schema, resolve: (schema: Schema) => Schema, depth = 0): fc.Arbitrary<unknown> {
  const known = resolve(schema);
  const fitting = fittingValue(known, resolve, depth);
  return fc.oneof({ weight: 6, arbitrary: fitting }, { weight: 1, arbitrary: json });
}

function fittingValue(
  schema: Schema,
  resolve: (schema: Schema) => Schema,
  depth: number,
): fc.Arbitrary<unknown> {
  if (depth > 4) return json;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined)
    return fc.oneof(...schema.anyOf.map((each) => valueOf(each, resolve, depth + 1)));
  switch (schema.type) {
    case "object":
      return objectOf(schema, resolve, depth);
    case "array":
      return fc.array(valueOf(schema.items ?? {}, resolve, depth + 1), { maxLength: 4 });
    case "integer":
    case "number":
      return fc.constantFrom(...HOSTILE_NUMBERS);
    case "boolean":
      return fc.boolean();
    case "string":
      return text;
    default:
      return json;
  }
}

function objectOf(schema: Schema, resolve: (schema: Schema) => Schema, depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries(schema.properties ?? {});
  const named = fc.record(
    Object.fromEntries(properties.map(([name, each]) => [name, valueOf(each, resolve, depth + 1)])),
    { requiredKeys: [] },
  );
  const isOpen = typeof schema.additionalProperties === "object" || properties.length === 0;
  const more = fc.dictionary(text, json, { maxKeys: isOpen ? 4 : 1 });
  return fc
    .tuple(
      named,
      fc.oneof({ weight: isOpen ? 0 : 5, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: more }),
    )
    .map(([own, others]) => ({ ...others, ...own }));
}

/** Texts that are JSON only nearly, or JSON that no honest client writes. */
const nearlyJson = fc.constantFrom(
  "",
  " ",
  "{",
  "nul",
  '{"instances": NaN}',
  '{"instances": 1e999}',
  '{"instances": 1, "instances": 2}',
  '{"instances": 2, "__proto__": {"instances": 3}}',
  '{"constructor": {"prototype": {"x": 1}}}',
  `${"[".repeat(10_000)}${"]".repeat(10_000)}`,
  `{"a":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`,
  '\ufeff{"instances": 1}',
  '{"instances": 1}{"instances": 2}',
  "{'instances': 1}",
  '{"instances": 1} // x',
  `{"command": ["${"x".repeat(200_000)}"]}`,
);

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.constantFrom(
    Uint8Array.of(0xff, 0xfe, 0x7b, 0x7d),
    Uint8Array.from(Buffer.from('{"set":{"A":"\xff"}}', "latin1")),
    Uint8Array.of(0x1f, 0x8b, 0x08),
    new Uint8Array(1_100_000),
  ),
);

function bodyOf({ body, resolve }: Operation): fc.Arbitrary<HostileRequest["body"]> {
  const proper = body === null ? json : valueOf(body.schema, resolve);
  return fc.oneof(
    { weight: 8, arbitrary: proper.map((value) => JSON.stringify(value)) },
    { weight: 2, arbitrary: nearlyJson },
    { weight: 1, arbitrary: bytes },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

const CONTENT_TYPES = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json; charset=utf-16",
  "application/jsonp",
  "x",
  "application/gzip",
];

/** Values of header fields: what Node lets a client send. */
const fieldText = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});

function headersOf({ body, parameters }: Operation): fc.Arbitrary<Record<string, string>> {
  const type = body?.type ?? "application/json";
  const tags = fc.oneof(
    fc.constantFrom("*", '"x"', '"1-00000000000000000000000000000000"', "W/*", '"a", "b"'),
    fieldText,
  );
  const documented = Object.fromEntries(
    parameters
      .filter((each) => each.in === "header")
      .map(({ name }) => [name, fc.oneof(fieldText, fc.constant("x".repeat(500)))]),
  );
  const optional = fc.record(
    {
      ...documented,
      "if-none-match": tags,
      "if-match": tags,
      accept: fieldText,
      "content-encoding": fc.constant("gzip"),
    },
    { requiredKeys: [] },
  );
  const contentType = fc.oneof(
    { weight: 10, arbitrary: fc.constant({ "content-type": type }) },
    { weight: 1, arbitrary: fc.constantFrom(...CONTENT_TYPES).map((value) => ({ "content-type": value })) },
    { weight: 1, arbitrary: fc.constant({}) },
  );
  return fc
    .tuple(
      contentType,
      fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: optional }),
    )
    .map(([one, others]): Record<string, string> => ({ ...others, ...one }));
}

const KNOWN_PARAMETERS: Readonly<Record<string, string>> = { app: "hello", number: "1", id: "b-1" };

/** The path with its parameters, mostly of what is there, percent-encoded or nearly so. */
function pathOf({ path }: Operation): fc.Arbitrary<string> {
  const parts = path.split("/").map((part) => {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name === undefined) return fc.constant(part);
    return fc.oneof(
      { weight: 5, arbitrary: fc.constant(KNOWN_PARAMETERS[name] ?? "x") },
      { weight: 1, arbitrary: text.map(encoded) },
      { weight: 1, arbitrary: fc.constantFrom("%", "%ff", "%00", "%c0%af", "..", ".", "%2e%2e") },
    );
  });
  return fc.tuple(...parts).map((words) => words.join("/"));
}

/** Lone surrogates, which have no UTF-8, as what a broken client would send. */
function encoded(value: string): string {
  return encodeURIComponent(value.replace(/\p{Cs}/gu, "\ufffd"));
}

function queryOf({ parameters, resolve }: Operation): fc.Arbitrary<string> {
  const known = parameters.filter((each) => each.in === "query");
  const pair = fc.oneof(
    ...known.map(({ name, schema }) =>
      valueOf(schema, resolve).map((value) => `${name}=${encoded(String(value))}`),
    ),
    fc.tuple(text, text).map(([name, value]) => `${encoded(name)}=${encoded(value)}`),
    fc.constantFrom("&", "=", "limit", "limit=1&limit=2", "cursor=%ff", "limit=%31", "a[b]=c"),
  );
  return fc
    .oneof(
      { weight: 1, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(pair, { maxLength: 3 }) },
    )
    .map((pairs) => (pairs.length === 0 ? "" : `?${pairs.join("&")}`));
}

/** Requests that are right in most of their parts and wrong in some. */
export function anyRequest(operations: readonly Operation[]): fc.Arbitrary<HostileRequest> {
  return fc.constantFrom(...operations).chain((operation) => {
    const method = fc.oneof(
      { weight: 12, arbitrary: fc.constant(operation.method) },
      { weight: 1, arbitrary: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") },
    );
    return fc
      .tuple(method, pathOf(operation), queryOf(operation), headersOf(operation), bodyOf(operation))
      .map(([verb, path, query, headers, body]) => ({
        operation,
        method: verb,
        target: `${path}${query}`,
        headers,
        body: verb === "GET" || verb === "HEAD" ? undefined : body,
        [fc.toStringMethod]: () =>
          `${verb} ${`${path}${query}`.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${String(body).slice(0, 300)}`,
      }));
  });
}
