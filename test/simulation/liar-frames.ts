/** Frames that no decoder may take, and none may choke on. */
import { concat } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import type { Rng } from './rng.ts';

/** A frame cut short, lengthened, with a bit flipped or a part repeated, or nothing but noise. */
export function garbled(rng: Rng, frame: Bytes): Bytes {
  const at = rng.int(Math.max(1, frame.length));
  switch (rng.pick(['cut', 'cut', 'flip', 'flip', 'longer', 'repeat', 'noise', 'deep', 'huge', 'empty'])) {
    case 'cut':
      return frame.subarray(0, at);
    case 'flip': {
      const copy = Uint8Array.from(frame);
      if (copy.length > 0) copy[at]! ^= 1 << rng.int(8);
      return copy;
    }
    case 'longer':
      return concat(frame, rng.bytes(1 + rng.int(40)));
    case 'repeat':
      return concat(frame.subarray(0, at), frame.subarray(at >> 1));
    case 'deep':
      return new Uint8Array(1 + rng.int(5000)).fill(0xc1);
    case 'huge':
      return concat(Uint8Array.of(0xfb, 0x7f, 0xff, 0xff, 0xff), rng.bytes(20));
    case 'empty':
      return new Uint8Array(0);
    default:
      return rng.bytes(rng.int(300));
  }
}
