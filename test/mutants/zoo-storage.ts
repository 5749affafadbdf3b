/** Broken rules of the log, the ledger and signatures; and what this design has no place for. */
import type { Impossible, Mutant } from './mutation.ts';

export const STORAGE: readonly Mutant[] = [
  {
    id: 'Z7',
    name: 'a failed write of the log is taken for a good one',
    edits: [
      {
        file: 'node/wal/wal.ts',
        from: 'this.file.append(data, (error) => (error ? this.fail(error) : this.finish()));',
        to: 'this.file.append(data, () => this.finish());',
      },
    ],
    killer: { test: 'test/unit/wal/wal.test.ts', title: 'a failed write ends in onFailure once' },
  },
  {
    id: 'Z8',
    name: 'a log damaged in the middle is cut there',
    edits: [
      {
        file: 'node/wal/recovery.ts',
        from: '  if (witness !== undefined) {',
        to: '  if (witness !== undefined && witness < 0) {',
      },
    ],
    killer: { test: 'test/unit/wal/torn.test.ts', title: 'damage when a later record proves the promise' },
  },
  {
    id: 'Z9',
    name: 'the head moves in a batch of its own, before the block’s',
    edits: [
      {
        file: 'ledger/writer.ts',
        from: '    put.push([HEAD_KEY, encodeHeadRecord({ height, hash, oldestUndo: this.#oldestUndo })]);\n    this.#options.store.write({ put, del }',
        to: '    const moved = [[HEAD_KEY, encodeHeadRecord({ height, hash, oldestUndo: this.#oldestUndo })]] as const;\n    this.#options.store.write({ put: moved, del: [] }, { sync: false }, () => undefined);\n    this.#options.store.write({ put, del }',
      },
    ],
    killer: { test: 'test/unit/ledger/store-damage.test.ts', title: 'after any number of batches lost' },
  },
  {
    id: 'Z19',
    name: 'signatures do not say which chain they are for',
    edits: [{ file: 'consensus/statement.ts', from: '      config.chainId,\n      config.genesisHash,\n', to: '' }],
    killer: { test: 'test/unit/consensus/wire-codec.test.ts', title: 'shows exactly the bytes' },
  },
  {
    id: 'Z22',
    name: 'the state root of a block is not compared',
    edits: [
      {
        file: 'ledger/executor.ts',
        from: '    if (root.hash !== header.stateRoot) {',
        to: '    if (root.hash.length !== header.stateRoot.length) {',
      },
    ],
    killer: { test: 'test/unit/ledger/block.test.ts', title: 'a wrong state root' },
  },
  {
    id: 'Z23',
    name: 'a piece of a snapshot is taken for another place than its own',
    edits: [
      {
        file: 'ledger/trie-records.ts',
        from: 'if (!sameReference(reference, encoded)) reader.fail',
        to: 'if (!sameReference(reference, encoded) && encoded.length < 32) reader.fail',
      },
    ],
    killer: { test: 'test/unit/ledger/snapshot.test.ts', title: 'is no node of another place' },
  },
  {
    id: 'Z28',
    name: 'signatures with a high s are valid, too',
    edits: [
      {
        file: 'primitives/secp256k1.ts',
        from: 'signature[64]! > 1 || !isLowS(signature)',
        to: 'signature[64]! > 1',
      },
    ],
    killer: { test: 'test/unit/ledger/transaction.test.ts', title: '' },
  },
  {
    id: 'Z30',
    name: 'reads of the final state see blocks that are not final',
    edits: [
      {
        file: 'ledger/ledger.ts',
        from: "    if ('final' in at) return this.#finalAccount(address);\n    if ('block' in at)",
        to: "    if ('final' in at) return this.#executor.account(this.#tip.root, address);\n    if ('block' in at)",
      },
    ],
    killer: { test: 'test/unit/ledger/ledger-model.test.ts', title: 'reads are right at every moment' },
  },
];

export const IMPOSSIBLE: readonly Impossible[] = [
  {
    id: 'Z10',
    name: 'client table updated when a request is prepared',
    because:
      'there is no client table: the nonce in the account is it, and goes back with the block when a view change drops the block; receipts are those of final blocks',
  },
  {
    id: 'Z21',
    name: 'a new leader changes the validators before a block of its own view is final',
    because:
      'no set is used before the block that closes the epoch is final; then nothing else can be, so two sets never decide on one height',
  },
  {
    id: 'Z32',
    name: 'a PREPARE of a higher view displaces a certificate',
    because:
      'a head is a certificate by its type, and the greatest of them is adopted; PREPAREs in VIEW-CHANGEs are evidence only',
  },
  {
    id: 'Z33',
    name: 'Δ below the real delay beside a liar passes for a bug',
    because:
      'this is about the simulator: beside liars it keeps the delays of everybody else below Δ, so that no run is beyond the promise',
  },
];
