// Thread of one partition: arms programs and evaluates batches that lie in shared memory. Entry point of a worker; see partition.ts.
import { messageOf } from "#core";
import { ruleSetFactory } from "./evaluators.ts";
import { type ArmedSet, InlinePartition, type WorkerReply, type WorkerRequest } from "./partition.ts";

declare const self: Worker;

let partition: InlinePartition | undefined;

function answer(request: WorkerRequest): WorkerReply {
  const { id } = request;
  switch (request.kind) {
    case "arm": {
      partition ??= new InlinePartition(ruleSetFactory(request.backend, request.cacheDirectory));
      const set: ArmedSet = { program: request.program, rules: [], gates: new Map() };
      partition.armNow(set);
      return { kind: "done", id };
    }
    case "evaluate": {
      if (partition === undefined) return { kind: "error", id, message: "The worker got a batch before a rule set" };
      const result = partition.evaluate(request.batch);
      if (result.kind === "hits") return { kind: "hits", id, hits: result.hits.slice() };
      const { kind, predicate, message } = result.fault;
      return { kind: "fault", id, fault: { faultKind: kind, predicate, message } };
    }
    case "close":
      void partition?.close();
      return { kind: "done", id };
  }
}

self.onmessage = (event: MessageEvent<WorkerRequest>) => {
  let reply: WorkerReply;
  try {
    reply = answer(event.data);
  } catch (error) {
    reply = { kind: "error", id: event.data.id, message: messageOf(error) };
  }
  postMessage(reply);
};
