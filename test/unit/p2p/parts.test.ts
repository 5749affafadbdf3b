import { describe, expect, test } from 'vitest';
import { Gate } from '../../../p2p/gate.ts';
import { guarded } from '../../../p2p/guard.ts';
import { encodeHello, helloMismatch, parseHello } from '../../../p2p/hello.ts';
import { KnockLimit } from '../../../p2p/knock-limit.ts';
import { OPEN_OBSERVERS_MAX } from '../../../p2p/limits.ts';
import {
  dialAddress,
  isDesignatedDialler,
  nodeKeyOfPeerId,
  peerIdOfNodeKey,
  peerIdOfPrivateKey,
} from '../../../p2p/peers.ts';
import { QuietLog } from '../../../p2p/quiet-log.ts';
import { Rate } from '../../../p2p/rate.ts';
import { redialDelayMs } from '../../../p2p/redial.ts';
import { SendQueue } from '../../../p2p/send-queue.ts';
import { toHex } from '../../../primitives/bytes.ts';
import { AssertionError } from '../../../primitives/errors.ts';
import { publicKey, randomPrivateKey } from '../../../primitives/secp256k1.ts';

describe('peer ids', () => {
  test('node key and peer id are one another, both ways', () => {
    const key = randomPrivateKey();
    const nodeKey = toHex(publicKey(key));
    const peer = peerIdOfNodeKey(nodeKey)!;
    expect(peer).toBe(peerIdOfPrivateKey(key));
    expect(peer.startsWith('16Uiu2')).toBe(true);
    expect(nodeKeyOfPeerId(peer)).toBe(nodeKey);
  });

  test('the peer id of a known key is the published one', () => {
    // Private key 1: the generator point.
    const generator = '0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
    expect(peerIdOfNodeKey(generator)).toBe(peerIdOfPrivateKey(Uint8Array.from({ length: 32 }, (_, i) => +(i === 31))));
    expect(nodeKeyOfPeerId(peerIdOfNodeKey(generator)!)).toBe(generator);
  });

  test.each([
    ['an empty key', '0x'],
    ['a key off the curve', '0x02' + 'ff'.repeat(32)],
    ['text', 'node key'],
    ['an uncompressed key', '0x04' + '11'.repeat(64)],
  ])('%s has no peer id', (_name, nodeKey) => expect(peerIdOfNodeKey(nodeKey)).toBeUndefined());

  test.each([['nonsense'], [''], ['12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf']])(
    'peer id %j is of no node key',
    (peer) => expect(nodeKeyOfPeerId(peer)).toBeUndefined(),
  );

  test('a wrong private key is an error with its code', () => {
    expect(() => peerIdOfPrivateKey(new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    expect(() => peerIdOfPrivateKey(new Uint8Array(31))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  });

  test('exactly one of two is the designated dialler', () => {
    const [a, b] = [1, 2].map(() => peerIdOfPrivateKey(randomPrivateKey())) as [string, string];
    expect(isDesignatedDialler(a, b)).toBe(!isDesignatedDialler(b, a));
    expect(isDesignatedDialler(a, a)).toBe(false);
  });
});

describe('addresses to dial', () => {
  const peer = peerIdOfPrivateKey(randomPrivateKey());
  const other = peerIdOfPrivateKey(randomPrivateKey());

  test.each([['/ip4/10.0.0.1/tcp/30300'], ['/dns4/node.example/tcp/30300'], ['/ip6/::1/tcp/1']])(
    '%s gets the peer id appended',
    (address) => {
      const parsed = dialAddress(peer, address);
      expect(parsed.ok && parsed.address.toString()).toBe(`${address}/p2p/${peer}`);
    },
  );

  test('an address that already names the peer stays as it is', () => {
    const address = `/ip4/10.0.0.1/tcp/30300/p2p/${peer}`;
    const parsed = dialAddress(peer, address);
    expect(parsed.ok && parsed.address.toString()).toBe(address);
  });

  test.each([
    ['of another peer', `/ip4/10.0.0.1/tcp/1/p2p/${other}`, 'names another peer'],
    ['without TCP', '/ip4/10.0.0.1/udp/1', 'is not a TCP address'],
    ['that is a URL', 'http://10.0.0.1:30300', 'is not a multiaddr'],
    ['that is empty', '', 'is not'],
  ])('an address %s is refused with a reason', (_name, address, reason) => {
    expect(dialAddress(peer, address)).toMatchObject({ ok: false, reason: expect.stringContaining(reason) });
  });
});

describe('gate', () => {
  const validators = (...peers: string[]) => peers.map((peer) => ({ peer, addresses: [] }));
  const gate = (allowedPeers: string[], connected: string[] = []) => {
    const made = new Gate({ self: 'me', allowedPeers, connectedPeers: () => connected });
    made.setPeers([...validators('v1', 'v2', 'me'), { peer: 'former', standing: 'admitted', addresses: [] }]);
    return made;
  };
  const others = (count: number) => Array.from({ length: count }, (_, index) => `o${index}`);

  test('admits validators always, even when observers fill every place', () => {
    expect(gate(['*'], others(80)).refusal('v1')).toBeUndefined();
    expect(gate([]).refusal('v2')).toBeUndefined();
  });

  test('refuses everyone else, and our own key', () => {
    expect(gate([]).refusal('x')).toContain('neither a validator');
    expect(gate(['*']).refusal('me')).toContain('our own node key');
  });

  test('admits those the chain names besides the validators, outside the bound of observers', () => {
    expect(gate([]).refusal('former')).toBeUndefined();
    expect(gate([]).isValidator('former')).toBe(false);
    expect(gate(['*'], [...others(OPEN_OBSERVERS_MAX - 1), 'former']).refusal('x')).toBeUndefined();
  });

  test('admits a named peer and not another', () => {
    expect(gate(['x']).refusal('x')).toBeUndefined();
    expect(gate(['x']).refusal('y')).toBeDefined();
  });

  test('"*" admits up to its bound, counting peers and not connections, validators or named ones', () => {
    const full = others(OPEN_OBSERVERS_MAX);
    expect(gate(['*'], full.slice(1)).refusal('x')).toBeUndefined();
    expect(gate(['*'], [...full.slice(1), 'o3', 'o3', 'v1', 'v2']).refusal('x')).toBeUndefined();
    expect(gate(['*'], full).refusal('x')).toContain(`${OPEN_OBSERVERS_MAX} observers`);
    expect(gate(['*'], full).refusal('o7')).toBeUndefined();
    expect(gate(['*', 'o1', 'x'], full).refusal('x')).toBeUndefined();
    expect(gate(['*', 'o1'], full).refusal('y')).toBeUndefined();
  });

  test('a new set says who lost its place: not whom something else admits, not who is new', () => {
    const changed = gate(['*', 'v1'], others(80));
    const admitted = { peer: 'v2', standing: 'admitted', addresses: [] } as const;
    expect(changed.setPeers([...validators('me', 'v3'), admitted])).toEqual(new Set(['former']));
    expect(changed.setPeers(validators('me'))).toEqual(new Set(['v3', 'v2']));
  });

  test('a validator that left the set is refused', () => {
    const changed = gate([]);
    changed.setPeers(validators('v2', 'me'));
    expect(changed.refusal('v1')).toBeDefined();
    expect(changed.isValidator('v2')).toBe(true);
  });
});

describe('hello', () => {
  const ours = { version: 2, chainId: 1337, genesisHash: '0x' + '11'.repeat(32), role: 'validator' } as const;

  test('comes back as it was sent', () => {
    expect(parseHello(encodeHello({ ...ours, role: 'observer' }))).toEqual({
      ok: true,
      hello: { ...ours, role: 'observer' },
    });
  });

  test('another version is named whatever follows it', () => {
    expect(parseHello(Uint8Array.of(0xc2, 0x07, 0x01))).toEqual({
      ok: false,
      reason: 'speaks network protocol version 7 (instead of 2)',
    });
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['a short genesis hash', Uint8Array.of(0xc6, 2, 1, 0x82, 1, 2, 0x80)],
    ['too few fields', Uint8Array.of(0xc2, 2, 1)],
    ['an empty list', Uint8Array.of(0xc0)],
  ])('%s is malformed', (_name, bytes) => {
    expect(parseHello(bytes)).toMatchObject({ ok: false, reason: expect.stringContaining('malformed hello') });
  });

  test('an unknown role is malformed', () => {
    const bytes = Uint8Array.from(encodeHello(ours));
    bytes[bytes.length - 1] = 9;
    expect(parseHello(bytes)).toEqual({ ok: false, reason: 'sent a malformed hello: unknown role' });
  });

  test('roles do not have to agree, genesis and chain id do', () => {
    const theirs = '0x' + '22'.repeat(32);
    expect(helloMismatch(ours, { ...ours, role: 'observer' })).toBeUndefined();
    expect(helloMismatch(ours, { ...ours, chainId: 2 })).toBe('runs chain id 2 (instead of 1337)');
    expect(helloMismatch(ours, { ...ours, genesisHash: theirs })).toBe(
      `runs another genesis (${theirs} instead of ${ours.genesisHash})`,
    );
  });
});

describe('send queue', () => {
  test('refuses what does not fit, header included, and takes it once there is room', () => {
    const queue = new SendQueue(100);
    expect(queue.push(1, new Uint8Array(90))).toBe(true);
    expect(queue.bytes).toBe(95);
    expect(queue.push(1, new Uint8Array(1))).toBe(false);
    expect(queue.bytes).toBe(95);
    expect(queue.push(1, new Uint8Array(0))).toBe(true);
    expect(queue.take(50)).toHaveLength(50);
    expect(queue.bytes).toBe(50);
    expect(queue.push(1, new Uint8Array(45))).toBe(true);
  });

  test('is empty after clear', () => {
    const queue = new SendQueue(100);
    queue.push(1, new Uint8Array(9));
    queue.clear();
    expect(queue.bytes).toBe(0);
    expect(queue.take(10)).toHaveLength(0);
  });

  test('keeps order over thousands of frames taken in pieces', () => {
    const queue = new SendQueue(1_000_000);
    const out: Uint8Array[] = [];
    for (let i = 0; i < 5_000; i++) {
      queue.push(1, Uint8Array.of(i & 0xff));
      if (i % 3 === 0) out.push(queue.take(7));
    }
    while (queue.bytes > 0) out.push(queue.take(1_000));
    const bytes = Buffer.concat(out);
    expect(bytes).toHaveLength(30_000);
    for (let i = 0; i < 5_000; i++) expect(bytes[i * 6 + 5]).toBe(i & 0xff);
  });
});

describe('rate', () => {
  const rate = () => {
    const clock = { now: 0 };
    return { clock, rate: new Rate({ bytesPerSecond: 1_000, framesPerSecond: 10, now: () => clock.now }) };
  };

  test('lets a second of burst through and then asks for the time the debt takes', () => {
    const { rate: limit } = rate();
    expect(limit.charge(1_000, 1)).toBe(0);
    expect(limit.charge(500, 1)).toBe(500);
  });

  test('counts frames as well as bytes', () => {
    const { rate: limit } = rate();
    expect(limit.charge(0, 10)).toBe(0);
    expect(limit.charge(0, 1)).toBe(100);
  });

  test('recovers with time, up to one second of burst', () => {
    const { rate: limit, clock } = rate();
    expect(limit.charge(3_000, 1)).toBe(2_000);
    clock.now = 2_000;
    expect(limit.charge(0, 0)).toBe(0);
    clock.now = 100_000;
    expect(limit.charge(1_001, 0)).toBe(1);
  });

  test('another allowance holds from now on, for what comes back and for the burst', () => {
    const { rate: limit, clock } = rate();
    limit.charge(1_000, 1);
    clock.now = 100;
    limit.allow({ bytesPerSecond: 10_000, framesPerSecond: 100 });
    expect(limit.charge(100, 1)).toBe(0);
    clock.now = 200;
    expect(limit.charge(1_000, 1)).toBe(0);
    expect(limit.charge(10_000, 1)).toBe(1_000);
    limit.allow({ bytesPerSecond: 1_000, framesPerSecond: 10 });
    expect(limit.charge(0, 0)).toBe(10_000);
    clock.now = 100_000;
    expect(limit.charge(2_000, 1)).toBe(1_000);
  });

  test('a clock that goes back gives nothing', () => {
    const { rate: limit, clock } = rate();
    clock.now = -5_000;
    expect(limit.charge(1_500, 0)).toBe(500);
  });
});

describe('knock limit', () => {
  const limit = (home: string[] = []) => {
    const clock = { now: 0 };
    return { clock, knocks: new KnockLimit({ now: () => clock.now, isHome: (host) => home.includes(host) }) };
  };
  const refuse = (knocks: KnockLimit, host: string, times: number) => {
    for (let i = 0; i < times; i++) knocks.onRefused(host);
  };

  test('turns a host away after ten refusals, and no other', () => {
    const { knocks } = limit();
    refuse(knocks, 'bad', 9);
    expect(knocks.isTurnedAway('bad')).toBe(false);
    refuse(knocks, 'bad', 1);
    expect(knocks.isTurnedAway('bad')).toBe(true);
    expect(knocks.isTurnedAway('good')).toBe(false);
  });

  test('lets it try once a second', () => {
    const { knocks, clock } = limit();
    refuse(knocks, 'bad', 10);
    clock.now = 999;
    expect(knocks.isTurnedAway('bad')).toBe(true);
    clock.now = 1_000;
    expect(knocks.isTurnedAway('bad')).toBe(false);
    refuse(knocks, 'bad', 1);
    expect(knocks.isTurnedAway('bad')).toBe(true);
  });

  test('never turns away a host where a peer of ours lives', () => {
    const { knocks } = limit(['home']);
    refuse(knocks, 'home', 1_000);
    expect(knocks.isTurnedAway('home')).toBe(false);
  });
});

describe('redial delay', () => {
  const delay = (failures: number, options = {}) =>
    redialDelayMs({ failures, refused: false, designated: true, ...options }, () => 1);

  test('doubles from 0.1 s to 1 s and stays there', () => {
    expect([0, 1, 2, 3, 4, 5, 1_000_000].map((failures) => delay(failures))).toEqual([
      100, 200, 400, 800, 1_000, 1_000, 1_000,
    ]);
  });

  test('jitter takes off up to half', () => {
    expect(redialDelayMs({ failures: 9, refused: false, designated: true }, () => 0)).toBe(500);
  });

  test('a refusal and not being the designated side both wait longer', () => {
    expect(delay(0, { refused: true })).toBe(3_000);
    expect(delay(0, { designated: false })).toBe(3_100);
  });
});

describe('quiet log', () => {
  test('says a key once a minute, with how often it was repeated', () => {
    const lines: unknown[] = [];
    let now = 0;
    const log = new QuietLog({ log: (event) => lines.push(event), now: () => now });
    const event = { level: 'warn', event: 'e', message: 'm' } as const;
    for (let i = 0; i < 5; i++) log.sayOnce('k', event);
    expect(lines).toEqual([event]);
    now = 60_000;
    log.sayOnce('k', event);
    expect(lines[1]).toEqual({ ...event, data: { repeated: 4 } });
    log.forget('k');
    log.sayOnce('k', event);
    expect(lines).toHaveLength(3);
  });

  test('many keys do not grow it without bound and other keys are not held back', () => {
    const lines: unknown[] = [];
    const log = new QuietLog({ log: (event) => lines.push(event), now: () => 0 });
    for (let i = 0; i < 5_000; i++) log.sayOnce(`k${i}`, { level: 'info', event: 'e', message: 'm' });
    expect(lines).toHaveLength(5_000);
  });
});

describe('guard', () => {
  test('hands an exception to its handler and lets an assertion through', () => {
    const errors: unknown[] = [];
    guarded(
      () => {
        throw new TypeError('hostile');
      },
      (error) => errors.push(error),
    );
    expect(errors).toEqual([new TypeError('hostile')]);
    const bug = () => {
      throw new AssertionError('bug');
    };
    expect(() => guarded(bug, () => undefined)).toThrow('bug');
  });
});
