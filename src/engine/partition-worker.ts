// Thread of one partition: prepares programs and evaluates batches that lie in shared memory. Entry point of a worker; see partition.ts.
import { messageOf } from "#core";
import { ruleSetFactory } from "./evaluators.ts";
import { InlinePartition, type PreparedSet, type WorkerReply, type WorkerRequest } from "./partition.ts";

declare const self: Worker;

let partition: InlinePartition | undefined;
const prepared = new Map<number, PreparedSet>();

async function prepare(request: Extract<WorkerRequest, { kind: "prepare" }>): Promise<WorkerReply> {
  const { id, program, backend, cacheDirectory } = request;
  partition ??= new InlinePartition(ruleSetFactory(backend, cacheDirectory));
  prepared.set(id, await partition.prepare({ program, rules: [], plans: [], slots: new Int32Array(0), gates: new Map(), policies: [] }));
  return { kind: "done", id };
}

function answer(request: Exclude<WorkerRequest, { kind: "prepare" }>): WorkerReply {
  const { id } = request;
  switch (request.kind) {
    case "commit":
    case "discard":
      prepared.get(request.prepared)?.[request.kind]();
      prepared.delete(request.prepared);
      return { kind: "done", id };
    case "evaluate": {
      if (partition === undefined) return { kind: "error", id, message: "The worker got a batch before a rule set" };
      const result = partition.evaluate(request.batch);
      if (result.kind === "hits") return { kind: "hits", id, hits: result.hits };
      const { kind, predicate, message } = result.fault;
      return { kind: "fault", id, fault: { faultKind: kind, predicate, message } };
    }
    case "close":
      void partition?.close();
      return { kind: "done", id };
  }
}

self.onmessage = async ({ data }: MessageEvent<WorkerRequest>) => {
  let reply: WorkerReply;
  try {
    // Only preparing takes time; everything else is answered in the order of the messages.
    reply = data.kind === "prepare" ? await prepare(data) : answer(data);
  } catch (error) {
    reply = { kind: "error", id: data.id, message: messageOf(error) };
  }
  postMessage(reply);
};
