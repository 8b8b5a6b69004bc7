// What the bytes of an exec say, as texts: arguments, kept variables, secrets taken out. Made once for an exec, before the process table or a
// record has anything of it: what was taken out is in no event, no rule's sight, no store.
import { splitArguments } from "./arguments.ts";
import { VariableFilter } from "./environment.ts";
import type { ExecEvent } from "./kernel-event.ts";
import type { ProcessFacts } from "./process-table.ts";
import type { Redactor } from "./redactor.ts";

/** See the head of this file. */
export interface ProgramTexts {
  readonly args: readonly string[];
  readonly argsCount: number;
  readonly variables: readonly string[];
  /** Whether a secret was taken out. */
  readonly isRedacted: boolean;
}

/** Makes {@link ProgramTexts}. */
export class TextReader {
  readonly #filter: VariableFilter;
  readonly #redactor: Redactor | undefined;

  /** `variables`: names to keep of an environment. Without a redactor texts stay as they are. */
  constructor(variables: readonly string[], redactor: Redactor | undefined) {
    this.#filter = new VariableFilter(variables);
    this.#redactor = redactor;
  }

  /** The texts of an exec. */
  read(event: ExecEvent): ProgramTexts {
    const { args, count } = splitArguments(event.args);
    const variables = this.#filter.choose(event.env);
    if (this.#redactor === undefined) return { args, argsCount: count, variables, isRedacted: false };
    const shownArgs = this.#redactor.args(args);
    const shownVariables = this.#redactor.variables(variables);
    const isRedacted = shownArgs.isRedacted || shownVariables.isRedacted;
    return { args: shownArgs.texts, argsCount: count, variables: shownVariables.texts, isRedacted };
  }

  /** What /proc tells of a process, without the secrets in its arguments. */
  shown(facts: ProcessFacts): ProcessFacts {
    if (this.#redactor === undefined || facts.args === undefined) return facts;
    const args = this.#redactor.args(facts.args).texts;
    return { ...facts, args, commandLine: args.join(" ") };
  }
}
