/**
 * A small metrics registry that writes the Prometheus text format 0.0.4. A gauge or counter is either read when asked
 * (most of ours already count somewhere) or counted here; a histogram has fixed buckets.
 */

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly value: number };
/** Read at every scrape: one number, or one per label set. */
export type Reader = () => number | readonly Sample[];
type Kind = 'counter' | 'gauge' | 'histogram';
type Metric = { readonly kind: Kind; readonly help: string; readonly lines: () => string[] };

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** Counts up; `read` is what a scrape sees. */
export class Counter {
  #value = 0;

  add(by = 1): void {
    this.#value += by;
  }

  get value(): number {
    return this.#value;
  }
}

/** Distribution over fixed upper bounds. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** Ascending upper bounds; everything above the last goes to +Inf. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count++;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at]!++;
  }

  lines(name: string): string[] {
    let below = 0;
    const buckets = this.bounds.map((bound, i) => {
      below += this.#counts[i]!;
      return `${name}_bucket{le="${bound}"} ${below}`;
    });
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>();

  gauge(name: string, help: string, read: Reader): void {
    this.#add(name, { kind: 'gauge', help, lines: () => sampleLines(name, read()) });
  }

  /** A counter that something else keeps. */
  counterOf(name: string, help: string, read: Reader): void {
    this.#add(name, { kind: 'counter', help, lines: () => sampleLines(name, read()) });
  }

  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.counterOf(name, help, () => counter.value);
    return counter;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds);
    this.#add(name, { kind: 'histogram', help, lines: () => histogram.lines(name) });
    return histogram;
  }

  /** All metrics in the order they were added. */
  text(): string {
    const out: string[] = [];
    for (const [name, metric] of this.#metrics) {
      out.push(`# HELP ${name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
      out.push(`# TYPE ${name} ${metric.kind}`, ...metric.lines());
    }
    return out.join('\n') + '\n';
  }

  #add(name: string, metric: Metric): void {
    if (!NAME.test(name)) throw new RangeError(`not a metric name: ${name}`);
    if (this.#metrics.has(name)) throw new RangeError(`metric ${name} exists`);
    this.#metrics.set(name, metric);
  }
}

function sampleLines(name: string, read: number | readonly Sample[]): string[] {
  if (typeof read === 'number') return [`${name} ${numberText(read)}`];
  return read.map(({ labels, value }) => `${name}${labelText(labels)} ${numberText(value)}`);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
