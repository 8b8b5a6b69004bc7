// What one act of the kernel matrix is, and what attachments are called there.

/** One act: a shell line, run in an empty folder /tmp/acts, and the query that must give exactly one alert for it. */
export interface Act {
  readonly name: string;
  /** The sensor that must see it. */
  readonly sensor: string;
  readonly shell: string;
  readonly query: string;
  /** Alerts it must raise. */
  readonly alerts: 0 | 1;
  /** Would leave its mark on the whole machine: done in emulated ones only. */
  readonly emulatedOnly: boolean;
  /** Attachments that are known not to see it; doctor says so too. `off`: the sensor may be off where there are no cgroups. */
  readonly unseenBy: readonly string[];
  /** What the rule is to do about it: then only alerts that say it was done count. */
  readonly action?: "deny" | "kill" | undefined;
}

/** What an act may say beside. */
export type More = Partial<Pick<Act, "alerts" | "unseenBy" | "emulatedOnly" | "action">>;

/** Makes an act that must raise one alert under every attachment, unless `more` says otherwise. */
export function act(sensor: string, name: string, parts: readonly [shell: string, query: string], more: More = {}): Act {
  return { name, sensor, shell: parts[0], query: parts[1], alerts: 1, unseenBy: [], emulatedOnly: false, ...more };
}

export const SYS_EXIT: readonly string[] = ["raw_tp/sys_exit"];
export const TCP_ONLY: readonly string[] = ["raw_tp/inet_sock_set_state"];
/** The folder every act is done in. */
export const HERE = "/tmp/acts";
