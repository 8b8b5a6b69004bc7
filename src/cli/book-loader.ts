// Loads a rule book in a worker thread.
import { KestrelError } from "#core";
import type { SchemaRegistry } from "#schema";
import type { BookReply } from "./book-worker.ts";
import type { Book, BookRequest } from "./rule-book.ts";

/** Loads a book and makes the registry know the categories its program refers to. */
export async function loadBookInWorker(request: BookRequest, registry: SchemaRegistry): Promise<Book> {
  const worker = new Worker(new URL("./book-worker.ts", import.meta.url).href);
  try {
    const reply = await new Promise<BookReply>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<BookReply>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(request);
    });
    if ("error" in reply) throw new KestrelError("rules", `Cannot load the rules: ${reply.error}`);
    for (const name of reply.book.compiled.categories) registry.categories.intern(name);
    return reply.book;
  } finally {
    worker.terminate();
  }
}
