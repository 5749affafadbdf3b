import { afterEach, expect, test } from 'vitest';
import { MetricsRegistry } from '../../../node/metrics.ts';
import { MetricsServer } from '../../../node/metrics-server.ts';

let server: MetricsServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

test('metrics are written in the Prometheus text format', () => {
  const metrics = new MetricsRegistry();
  metrics.gauge('quorate_height', 'Newest final block', () => 7);
  metrics.gauge('quorate_peer', 'Peers by\nname', () => [
    { labels: { peer: 'a"\\b' }, value: 1 },
    { labels: {}, value: Number.POSITIVE_INFINITY },
  ]);
  const counter = metrics.counter('quorate_blocks_total', 'Blocks');
  counter.add();
  counter.add(2);
  const histogram = metrics.histogram('quorate_finality_seconds', 'Finality', [0.1, 1]);
  for (const seconds of [0.1, 0.5, 3]) histogram.observe(seconds);
  expect(metrics.text().split('\n')).toEqual([
    '# HELP quorate_height Newest final block',
    '# TYPE quorate_height gauge',
    'quorate_height 7',
    '# HELP quorate_peer Peers by\\nname',
    '# TYPE quorate_peer gauge',
    'quorate_peer{peer="a\\"\\\\b"} 1',
    'quorate_peer +Inf',
    '# HELP quorate_blocks_total Blocks',
    '# TYPE quorate_blocks_total counter',
    'quorate_blocks_total 3',
    '# HELP quorate_finality_seconds Finality',
    '# TYPE quorate_finality_seconds histogram',
    'quorate_finality_seconds_bucket{le="0.1"} 1',
    'quorate_finality_seconds_bucket{le="1"} 2',
    'quorate_finality_seconds_bucket{le="+Inf"} 3',
    'quorate_finality_seconds_sum 3.6',
    'quorate_finality_seconds_count 3',
    '',
  ]);
});

test('a name is taken once and must be one', () => {
  const metrics = new MetricsRegistry();
  metrics.counter('a_total', 'a');
  expect(() => metrics.counter('a_total', 'again')).toThrow('exists');
  expect(() => metrics.counter('a b', 'space')).toThrow('not a metric name');
});

test('the server answers /metrics, /health by state, and nothing else', async () => {
  const metrics = new MetricsRegistry();
  metrics.gauge('up', 'Up', () => 1);
  let healthy = true;
  server = await MetricsServer.start({ host: '127.0.0.1', port: 0, metrics, health: () => ({ healthy, final: 5 }) });
  const url = `http://127.0.0.1:${server.port}`;
  const scrape = await fetch(`${url}/metrics?x=1`);
  expect(scrape.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await scrape.text()).toContain('\nup 1\n');
  const health = await fetch(`${url}/health`);
  expect([health.status, await health.json()]).toEqual([200, { healthy: true, final: 5 }]);
  healthy = false;
  expect((await fetch(`${url}/health`)).status).toBe(503);
  expect((await fetch(url)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
});

test('a port in use is told with what to do', async () => {
  const options = { host: '127.0.0.1', metrics: new MetricsRegistry(), health: () => ({ healthy: true }) };
  server = await MetricsServer.start({ ...options, port: 0 });
  await expect(MetricsServer.start({ ...options, port: server.port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
});
