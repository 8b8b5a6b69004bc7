// Thread that loads a rule book and ends, so that the agent's own thread never carries parsers and compiler. Entry point of a worker.
import { messageOf } from "#core";
import { type Book, type BookRequest, loadBook } from "./rule-book.ts";

declare const self: Worker;

/** What the worker answers. */
export type BookReply = { readonly book: Book } | { readonly error: string };

async function answer(request: BookRequest): Promise<BookReply> {
  try {
    return { book: await loadBook(request) };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

self.onmessage = async ({ data }: MessageEvent<BookRequest>) => {
  postMessage(await answer(data));
};
