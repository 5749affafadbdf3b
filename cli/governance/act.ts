/**
 * A call to the governance contract, as an operator makes it: a dry run at a node, which tells what is unwise or refused,
 * then the call, encoded and signed here, and what has come of it once it is final.
 */

import type { CallToSign } from '../../node/governance-call.ts';
import type { DryRun } from '../../node/governance-desk.ts';
import type { ProposalView } from '../../node/governance-proposals.ts';
import { outcomeOf } from '../../node/governance-receipt.ts';
import { readKeyText, summarizeKey } from '../../node/keystore.ts';
import { QuorateError } from '../../primitives/errors.ts';
import type { Address } from '../../primitives/ids.ts';
import { privateKeyAddress } from '../../primitives/secp256k1.ts';
import { clearProgress, printJson, printLine, warn } from '../output.ts';
import { quantity, RpcClient } from '../rpc-client.ts';
import { type Receipt, requireSignerKey, sendTransaction, waitForReceipt } from '../send.ts';
import { findSignerKey } from '../signer-key.ts';

export type ActOptions = {
  readonly rpc: string;
  readonly key?: string;
  readonly passwordFile?: string;
  readonly timeout: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
};

export type GovernanceAct = {
  /** The dry run's method, which takes the operator as its last parameter. */
  readonly method: string;
  readonly params: readonly unknown[];
  /** The call as it was meant, whatever the node answered. */
  readonly encode: (found: Found) => CallToSign;
};

export type Found = Extract<DryRun, { ok: true }>;

/** Throws GOVERNANCE_REFUSED for what the contract would not take. */
async function dryRun(rpc: RpcClient, { method, params }: GovernanceAct, from: Address | undefined): Promise<Found> {
  try {
    return (await rpc.call(method, from === undefined ? params : [...params, from])) as Found;
  } catch (error) {
    const REVERTED = 3;
    if (!(error instanceof QuorateError) || error.data['code'] !== REVERTED) throw error;
    const message = `the governance contract refuses this: ${String(error.data['reason'])}`;
    throw new QuorateError('GOVERNANCE_REFUSED', message, { cause: error });
  }
}

/** Who would sign, without asking for a password. */
async function operatorOf({ key }: ActOptions): Promise<Address | undefined> {
  if (key !== undefined) return summarizeKey(await readKeyText(key), key).address;
  const found = await findSignerKey({});
  return found && privateKeyAddress(found);
}

/** What a node says is to be signed must be what was asked for: the signature is an operator's vote. */
function requireSameCall(meant: CallToSign, found: CallToSign): void {
  if (meant.to === found.to && meant.data === found.data) return;
  const message = 'the node gives another call to sign than was asked for; name a node you trust with --rpc URL';
  throw new QuorateError('RPC_ERROR', message);
}

function planText({ next, after }: Found): string {
  const n = after.validators.length;
  const rule = `${n} validator${n === 1 ? '' : 's'}, of which ${after.mustBeUp} must be up`;
  return `nothing was sent; once it is final: ${next}\nthe change leads to ${rule}`;
}

export async function perform(act: GovernanceAct, options: ActOptions): Promise<void> {
  const rpc = new RpcClient(options.rpc);
  if (options.dryRun === true) {
    const found = await dryRun(rpc, act, await operatorOf(options));
    requireSameCall(act.encode(found), found);
    for (const warning of found.warnings) warn(warning);
    if (options.json === true) printJson(found);
    else printLine(planText(found));
    return;
  }
  const privateKey = await requireSignerKey(options);
  const found = await dryRun(rpc, act, privateKeyAddress(privateKey));
  const call = act.encode(found);
  requireSameCall(call, found);
  for (const warning of found.warnings) warn(warning);
  const hash = await sendTransaction(rpc, { privateKey, to: call.to, value: 0n, data: call.data });
  const receipt = await waitForReceipt(rpc, hash, options.timeout);
  clearProgress();
  // Something of another operator came first: the dry run now says what.
  if (quantity(receipt.status) !== 1) {
    await dryRun(rpc, act, privateKeyAddress(privateKey));
    throw new QuorateError('GOVERNANCE_REFUSED', `the governance contract refused ${hash}; run the command again`);
  }
  await report(rpc, { found, hash, receipt }, options.json === true);
}

type Done = { readonly found: Found; readonly hash: string; readonly receipt: Receipt };

async function report(rpc: RpcClient, { found, hash, receipt }: Done, json: boolean): Promise<void> {
  const { proposed, opened } = outcomeOf(receipt.logs);
  const id = proposed ?? found.id;
  const proposals = (await rpc.call('xft_getProposals')) as readonly ProposalView[];
  const proposal = proposals.find((known) => known.id === id);
  const blockNumber = quantity(receipt.blockNumber);
  const missing = proposal?.missing ?? [];
  const begun = opened && { ...opened, firstBlock: blockNumber + 1 };
  if (json) {
    const { blockHash } = receipt;
    const { warnings } = found;
    printJson({
      proposal: id,
      status: proposal?.status,
      epoch: begun ?? null,
      missing,
      warnings,
      hash,
      blockNumber,
      blockHash,
    });
    return;
  }
  if (begun !== undefined) {
    printLine(`proposal ${id} has passed`);
    printLine(`epoch ${begun.epoch} begins after block ${blockNumber}: validators ${begun.validators.join(', ')}`);
  } else if (missing.length > 0) printLine(`proposal ${id}: ${missing.join('; ')}`);
  else printLine(`proposal ${id}: ${proposal?.status ?? 'unknown to the node'}`);
}
