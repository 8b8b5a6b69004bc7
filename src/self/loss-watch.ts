// Whether events are being lost in such numbers that something may hide among them. A few at a peak are counted and no news.
import type { Finding, LossCounts, Watch } from "#core";

/** Lost between two looks, of one cause, beyond which it is news: this many and this part of all that came. */
const LOST_MIN = 1000;
const SHARE_MIN = 0.01;

/** See the head of this file. */
export class LossWatch implements Watch {
  readonly name = "losses";
  readonly title = "Events are being lost";
  readonly kind = "state";
  readonly #losses: () => LossCounts;
  readonly #produced: () => number;
  #last: { readonly losses: LossCounts; readonly produced: number } | undefined;

  constructor(losses: () => LossCounts, produced: () => number) {
    this.#losses = losses;
    this.#produced = produced;
  }

  look(): readonly Finding[] {
    const [losses, produced] = [this.#losses(), this.#produced()];
    const last = this.#last;
    this.#last = { losses, produced };
    if (last === undefined) return [];
    const came = produced - last.produced;
    return Object.entries(losses).flatMap(([cause, count]) => {
      const lost = count - (last.losses[cause] ?? 0);
      if (lost < LOST_MIN || lost < came * SHARE_MIN) return [];
      const message = `${lost} of ${came} events were lost since the last look (${cause})`;
      return [{ subject: cause, message, facts: { "kestrel.self.lost": lost, "kestrel.self.produced": came } }];
    });
  }
}
