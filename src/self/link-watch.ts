// Whether the programs that the agent attached are still attached, and still the same. Which ones those are the loader says: a sensor that no rule
// needs has none, and is not missed.
import { readFileSync } from "node:fs";
import type { Finding, Watch } from "#core";

/** One attached program, by the descriptor of its link. */
export interface AttachedProgram {
  /** For people: sensor and attachment. */
  readonly name: string;
  readonly fd: number;
}

/** See the head of this file. */
export class LinkWatch implements Watch {
  readonly name = "programs";
  readonly title = "A program of the agent was detached";
  readonly kind = "state";
  readonly #programs: () => readonly AttachedProgram[];
  readonly #descriptors: string;
  /** Id of the program behind each link, by the link's own id. */
  #known = new Map<string, string>();

  /** `descriptors`: where the kernel tells what a descriptor is. */
  constructor(programs: () => readonly AttachedProgram[], descriptors = "/proc/self/fdinfo") {
    this.#programs = programs;
    this.#descriptors = descriptors;
  }

  look(): readonly Finding[] {
    const known = new Map<string, string>();
    const found: Finding[] = [];
    for (const { name, fd } of this.#programs()) {
      const facts = linkFacts(`${this.#descriptors}/${fd}`);
      const message = this.#whatIsWrong(facts);
      if (message !== undefined) found.push({ subject: name, message: `${name}: ${message}`, facts: { "kestrel.self.program": name } });
      // What it was first, not what somebody made of it.
      if (facts?.link !== undefined) known.set(facts.link, this.#known.get(facts.link) ?? facts.program);
    }
    this.#known = known;
    return found;
  }

  #whatIsWrong(facts: LinkFacts | undefined): string | undefined {
    if (facts === undefined) return "its link is gone: the agent's descriptor was closed";
    if (facts.isDetached) return "it was detached, and sees nothing any more";
    const before = this.#known.get(facts.link);
    return before !== undefined && before !== facts.program ? "another program was put in its place" : undefined;
  }
}

interface LinkFacts {
  readonly link: string;
  readonly program: string;
  readonly isDetached: boolean;
}

/** What the kernel says of a link; undefined: the descriptor is none (any more). */
function linkFacts(path: string): LinkFacts | undefined {
  const text = readIfThere(path);
  const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(text)?.[1];
  const [link, program] = [field("link_id"), field("prog_id")];
  if (link === undefined || program === undefined) return undefined;
  // A link of a control group that was detached belongs to no group.
  return { link, program, isDetached: field("cgroup_id") === "0" };
}

/** Empty for no file; what hinders reading one is thrown. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
