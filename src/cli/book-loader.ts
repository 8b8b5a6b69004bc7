// Loads a rule book for a running agent without making its thread carry parsers and compiler.
import { KestrelError, workerUrl } from "#core";
import type { SchemaRegistry } from "#schema";
import type { BookReply } from "./book-worker.ts";
import { type Book, type BookRequest, cachedBuiltinBook } from "./rule-book.ts";

/** Loads a book, in a worker unless it is in the cache, and makes the registry know the categories its program refers to. */
export async function loadBookForAgent(request: BookRequest, registry: SchemaRegistry): Promise<Book> {
  const book = (await cachedBuiltinBook(request)) ?? (await loadBookInWorker(request));
  for (const name of book.compiled.categories) registry.categories.intern(name);
  return book;
}

async function loadBookInWorker(request: BookRequest): Promise<Book> {
  const worker = new Worker(workerUrl("cli/book-worker.ts"));
  try {
    const reply = await new Promise<BookReply>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<BookReply>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(request);
    });
    if ("error" in reply) throw new KestrelError("rules", `Cannot load the rules: ${reply.error}`);
    return reply.book;
  } finally {
    worker.terminate();
  }
}
