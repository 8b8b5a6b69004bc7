// Which events of the sensors somebody can use: a demand by sensor and by action, as the loader and the reader of the rings ask for it.
// Invariant: an event it does not want is matched by no armed rule.
import {
  type Demand,
  type DemandTest,
  type EventWords,
  everyEvent,
  type GroupFields,
  isOfGroup,
  passesTests,
  type WordsDemand,
} from "#schema";
import { ALL_WORDS, SENSOR_WORDS, sensorOf, wordsOf } from "./event-words.ts";
import type { ReportedEvent } from "./record-context.ts";
import type { SensorName } from "./sensors.ts";

/** See the head of this file. */
export class SensorDemand {
  /** By action, since that is nearly always one kind of events. */
  readonly #byAction = new Map<string, Demand>();
  readonly #off: ReadonlySet<SensorName>;

  /** `off`: sensors that are switched off, whatever is wanted. */
  constructor(demand: Demand, off: ReadonlySet<SensorName> = new Set()) {
    this.#off = off;
    for (const wanted of demand) {
      const [, , action] = wanted.words;
      this.#byAction.set(action, [...(this.#byAction.get(action) ?? []), wanted]);
    }
  }

  /** Everything that sensors can send. */
  static everything(off?: ReadonlySet<SensorName>): SensorDemand {
    return new SensorDemand(everyEvent(ALL_WORDS), off);
  }

  /** Whether a sensor's events of one action are wanted. */
  wantsAction(sensor: SensorName, action: string): boolean {
    return !this.#off.has(sensor) && SENSOR_WORDS[sensor].some((words) => words[2] === action && this.#find(words) !== undefined);
  }

  /** Tests of which one is true of every wanted event of a sensor and action; undefined: nothing is known of them. */
  testsOf(sensor: SensorName, action: string): readonly DemandTest[] | undefined {
    const lists = SENSOR_WORDS[sensor].filter((words) => words[2] === action).map((words) => this.#find(words)?.tests);
    return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
  }

  /** What is wanted of events with an event's words; `undefined`: nothing. */
  of(event: ReportedEvent): WordsDemand | undefined {
    const isOff = event.kind !== "attempt" && this.#off.has(sensorOf(event));
    return isOff ? undefined : this.#find(wordsOf(event));
  }

  #find([category, type, action]: EventWords): WordsDemand | undefined {
    return this.#byAction.get(action)?.find(({ words }) => String(words[0]) === String(category) && words[1] === type);
  }
}

/** Whether an event is wanted, which is one of a control group, as far as that is known. */
export function isWanted({ tests }: WordsDemand, event: ReportedEvent, group: GroupFields | undefined): boolean {
  if (tests === undefined) return true;
  const user = String(event.actor.euid);
  switch (event.kind) {
    case "file":
    case "change":
      return passesTests(tests, { path: event.path, user, port: undefined, address: undefined, group });
    case "connect":
    case "accept":
    case "bind":
    case "listen":
    case "send":
      return passesTests(tests, {
        path: undefined,
        user,
        port: String(event.destinationPort),
        address: digitsOf(event.destination),
        group,
      });
    default:
      return (
        !tests.every(isOfGroup) || passesTests(tests, { path: undefined, user: undefined, port: undefined, address: undefined, group })
      );
  }
}

/** An address as the tests of addresses have it. */
function digitsOf(address: Uint8Array): string {
  return address.byteLength === 4 ? `00000000000000000000ffff${address.toHex()}` : address.toHex();
}
