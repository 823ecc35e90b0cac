// What a tab has seen last, so that tabs can come into step with each other.

/** An event, or an ID that came without one. */
export interface Entry {
  /** The last event ID as of this entry. */
  id: string;
  event?: { name: string; data: string; origin: string };
}

/** What tabs remember for each other. */
const ENTRIES = 256;

/** The newest entries of a stream, oldest first. */
export class Recent {
  readonly #entries: Entry[] = [];

  constructor(lastEventId: string) {
    if (lastEventId) this.#entries.push({ id: lastEventId });
  }

  get lastEventId(): string {
    return this.#entries.at(-1)?.id ?? "";
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    if (this.#entries.length > ENTRIES) this.#entries.shift();
  }

  /** The IDs, oldest first, each once in a row. */
  ids(): string[] {
    const all = this.#entries.map(({ id }) => id);
    return all.filter((id, at) => id !== "" && id !== all[at - 1]);
  }

  /**
   * What a tab that has seen these IDs lacks, and which of them are newer than all that is known
   * here. `reset` if none is known: events may be missing.
   */
  after(ids: string[]): { lacks: Entry[]; ahead: string[]; reset: boolean } {
    for (let at = ids.length - 1; at >= 0; at -= 1) {
      const known = this.#entries.findLastIndex(({ id }) => id === ids[at]);
      if (known >= 0) return { lacks: this.#entries.slice(known + 1), ahead: ids.slice(at + 1), reset: false };
    }
    // A new tab begins here and now, like a new EventSource; a stream without IDs has no gaps.
    const here = this.lastEventId ? [{ id: this.lastEventId }] : [];
    return { lacks: here, ahead: [], reset: ids.length > 0 && here.length > 0 };
  }
}
