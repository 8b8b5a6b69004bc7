// The one program at the return of every system call, and the table that says which numbers matter to it. Sensors add their programs; which
// events are wanted decides which numbers stand in the table. Invariant: while no number is wanted, no program is attached.
import { type BpfLink, type BpfMap, BpfObject } from "#ffi/libbpf";
import type { SensorName } from "./sensors.ts";
import { CALL_NUMBERS, callTable, familyOf, SYSTEM_CALLS, type WantedEvents } from "./system-calls.ts";

const PROGRAM = "kestrel_calls";

/** See the head of this file. Throws NativeError when the kernel does not take it. */
export class CallDispatcher {
  readonly #object: BpfObject;
  readonly #calls: BpfMap;
  readonly #programs: BpfMap;
  /** Sensors whose programs are there. */
  readonly #sensors = new Set<SensorName>();
  /** What stands in the kernel's table. */
  #table: Uint32Array = new Uint32Array(CALL_NUMBERS);
  #isWanted: WantedEvents;
  #link: BpfLink | undefined;

  constructor(bytes: Uint8Array, isWanted: WantedEvents) {
    this.#isWanted = isWanted;
    this.#object = BpfObject.open("calls", bytes);
    try {
      this.#object.load();
      this.#calls = this.#object.map("calls");
      this.#programs = this.#object.map("call_programs");
    } catch (error) {
      this.#object.close();
      throw error;
    }
  }

  /** Descriptor of the table: sensors' objects read it too. */
  get callsFd(): number {
    return this.#calls.fd;
  }

  /** Numbers that stand in the table; 0: nothing is attached. */
  get numbersOn(): number {
    return this.#table.reduce((count, row) => count + (row === 0 ? 0 : 1), 0);
  }

  /** Descriptor of the link, while the program is attached. */
  get linkFd(): number | undefined {
    return this.#link?.fd;
  }

  /** Lets a sensor's loaded program handle the calls that are the sensor's. */
  add(sensor: SensorName, object: BpfObject, program: string): void {
    const families = new Set(SYSTEM_CALLS.filter((row) => row.sensor === sensor).map(({ call }) => familyOf(call)));
    for (const family of families) this.#programs.update(bytesOf(family), bytesOf(object.programFd(program)));
    this.#sensors.add(sensor);
    try {
      this.#apply();
    } catch (error) {
      this.#sensors.delete(sensor);
      throw error;
    }
  }

  /** Chooses anew which events are wanted, while it runs. */
  want(isWanted: WantedEvents): void {
    this.#isWanted = isWanted;
    this.#apply();
  }

  /** Takes the program out of every call's way. */
  detach(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  /** Detaches and unloads. Twice is fine. */
  close(): void {
    this.detach();
    this.#object.close();
  }

  #apply(): void {
    const wanted = callTable(process.arch, (sensor, action) => this.#sensors.has(sensor) && this.#isWanted(sensor, action));
    for (let number = 0; number < CALL_NUMBERS; number++) {
      if (wanted[number] !== this.#table[number]) this.#calls.update(bytesOf(number), bytesOf(wanted[number] ?? 0));
    }
    this.#table = wanted;
    if (wanted.every((row) => row === 0)) this.detach();
    else this.#link ??= this.#object.attach(PROGRAM);
  }
}

function bytesOf(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
