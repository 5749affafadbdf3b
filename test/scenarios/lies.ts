/** What a liar says in a scenario: two messages at most, made up with its own key and under its own name. */
import type { Message, Seal, SignedMessage, VcFinal, ViewChange, Vote, VoteType } from '../../consensus/message.ts';
import { type Statement, statementDigest } from '../../consensus/statement.ts';
import { utf8 } from '../../primitives/bytes.ts';
import type { Bytes } from '../../primitives/ids.ts';
import { keccakHash } from '../../primitives/keccak.ts';
import type { Standing } from '../simulation/process.ts';

export type Liar = {
  readonly standing: Standing;
  readonly incarnation: string;
  readonly sign: (digest: Bytes) => Bytes;
};

export type Lie = { readonly kind: string; readonly view: number; readonly height: number };

/** The messages of a lie, named by the evidence it makes. */
export function lieOf({ standing, incarnation, sign }: Liar, { kind, view, height }: Lie): Message[] {
  const { config, self } = standing;
  const { epoch } = config;
  const sealed = <M extends SignedMessage>(content: Omit<M, keyof Seal>, life = incarnation): M => {
    const unsigned = { ...content, signer: self, incarnation: life } as unknown as Statement;
    return { ...unsigned, signature: sign(statementDigest(config, unsigned)) } as M;
  };
  const vote = (type: VoteType, block: string, life?: string) => {
    const about = { epoch, view, viewCertificate: '', height, hash: keccakHash(utf8(block)) };
    return sealed<Vote>({ kind: type, ...about }, life);
  };
  switch (kind) {
    case 'equivocation':
      return ['one block', 'another'].map((block) => ({
        kind: 'PROPOSAL',
        prepare: vote('PREPARE', block),
        block: utf8(block),
      }));
    case 'double-commit':
      return ['one block', 'another'].map((block) => vote('COMMITTED', block));
    case 'two-faced':
      return [vote('COMMITTED', 'one block', '0x' + 'ee'.repeat(16))];
    case 'log-loss':
      return [
        sealed<ViewChange>({
          kind: 'VIEW-CHANGE',
          epoch,
          view,
          lastSigned: undefined,
          head: undefined,
          final: undefined,
        }),
      ];
    case 'bad-message':
      return [sealed<VcFinal>({ kind: 'VC-FINAL', epoch, view, viewChanges: [] })];
    default:
      throw new Error(`no such lie in a scenario: ${kind}`);
  }
}
