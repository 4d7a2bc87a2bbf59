// The numbers of a node: its workers' added up, and what those that ended had counted, so that no counter goes backwards.
import { AggregatorRegistry, type Registry } from 'prom-client';

/** What one worker told: prom-client's metrics as JSON. */
export type WorkerMetrics = readonly object[];

export class NodeMetrics {
  /** The last word of each worker that lives: one that does not answer counts with it. */
  private readonly living = new Map<number, WorkerMetrics>();
  /** Sum of those that ended; each ending adds to the sum before it. */
  private ended: Promise<WorkerMetrics> = Promise.resolve([]);

  tell(worker: number, values: WorkerMetrics): void {
    this.living.set(worker, values);
  }

  /** To be called when nothing more can come from the worker. */
  end(worker: number): void {
    const last = this.living.get(worker);
    if (last === undefined) return;
    this.living.delete(worker);
    this.ended = this.ended.then((before) => sumOf([before, last.filter(isCount)]).getMetricsAsJSON());
  }

  async exposition(): Promise<string> {
    const ended = await this.ended;
    return sumOf([ended, ...this.living.values()]).metrics();
  }
}

/** prom-client adds the values up by each metric's own aggregator. */
function sumOf(metrics: WorkerMetrics[]): Registry {
  return AggregatorRegistry.aggregate(metrics);
}

/** A gauge says how things are: where a worker is gone, they are no more. */
function isCount(metric: object): boolean {
  return !('type' in metric && metric.type === 'gauge');
}
