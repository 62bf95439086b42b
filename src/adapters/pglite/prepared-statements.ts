import { postgresText, type Statement } from "../sql/index.js";

/** The messages of PostgreSQL's extended query protocol, as PGlite writes them. */
export type Serialize = typeof import("@electric-sql/pglite").protocol.serialize;

/** How many statements the database keeps prepared. */
const PREPARED_MAX = 128;
/** Longer ones are lists of many values, which hardly come again with as many. */
const CHARACTERS_MAX = 8 * 1024;
/** A plan that was made for empty tables is made anew once so many values were written. */
const GROWTH_MIN = 1_000;

interface Prepared {
  /** What the database knows it by; null while it was asked for once only. */
  readonly name: string | null;
  /** How many values had been written when it was prepared. */
  readonly written: number;
}

/**
 * Writes statements as messages, those that come again by the name under which the database keeps them prepared: reading and
 * planning a short statement takes PGlite several times as long as running it. PGlite gathers no statistics, so that a plan
 * knows the tables only by their size; it is made anew when that may have doubled.
 */
export class PreparedStatements {
  readonly #serialize: Serialize;
  /** By text, those used last at the end. */
  readonly #prepared = new Map<string, Prepared>();
  /** Names that the database may know and that are not used any more. */
  #dropped: string[] = [];
  #names = 0;
  #written = 0;

  constructor(serialize: Serialize) {
    this.#serialize = serialize;
  }

  /** All that is to be sent for one execution, in one piece. */
  messageOf(statement: Statement): Uint8Array {
    const { bind, close, describe, execute, parse, sync } = this.#serialize;
    const text = postgresText(statement);
    const { name, isKnown } = this.#use(text);
    const closing = this.#dropped.map((dropped) => close({ type: "S", name: dropped }));
    this.#dropped = [];
    if (!text.startsWith("SELECT")) this.#written += statement.values.length;
    const values = statement.values.map((value) => (value === null ? null : String(value)));
    return joined([
      ...closing,
      ...(isKnown ? [] : [parse({ name, text })]),
      bind({ statement: name, values }),
      describe({ type: "P" }),
      execute(),
      sync(),
    ]);
  }

  /** The statement failed: whether the database has it prepared is not known. */
  forget(statement: Statement): void {
    this.#drop(postgresText(statement));
  }

  /** The name to use now ("" is forgotten with the next statement), and whether the database knows it. */
  #use(text: string): { readonly name: string; readonly isKnown: boolean } {
    if (text.length > CHARACTERS_MAX) return { name: "", isKnown: false };
    const known = this.#prepared.get(text);
    if (known !== undefined && known.name !== null && this.#written <= 2 * known.written + GROWTH_MIN) {
      this.#keep(text, known);
      return { name: known.name, isKnown: true };
    }
    this.#drop(text);
    const name = known === undefined ? null : this.#newName();
    this.#keep(text, { name, written: this.#written });
    return { name: name ?? "", isKnown: false };
  }

  #keep(text: string, prepared: Prepared): void {
    this.#prepared.delete(text);
    this.#prepared.set(text, prepared);
    const [oldest = text] = this.#prepared.keys();
    if (this.#prepared.size > PREPARED_MAX) this.#drop(oldest);
  }

  #newName(): string {
    this.#names += 1;
    return `dinp_${String(this.#names)}`;
  }

  #drop(text: string): void {
    const name = this.#prepared.get(text)?.name ?? null;
    this.#prepared.delete(text);
    if (name !== null) this.#dropped.push(name);
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
