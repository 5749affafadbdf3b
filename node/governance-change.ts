/**
 * Changes of the validator set as JSON: descriptors, as `quorate key show --descriptor` writes them, and the `change` of
 * `xft_proposeValidators`. Read strictly, every problem named by its path; nothing here judges whether a change may be made.
 */
import { parseAddress } from '../genesis/address.ts';
import { parseMultiaddr, parseNodeKey, peerIdOf } from '../genesis/peer-address.ts';
import type { Candidate, Change, Replacement } from '../ledger/governance/state.ts';
import { fromHex } from '../primitives/bytes.ts';
import type { Address } from '../primitives/ids.ts';
import { describe, type Problems, parseObject } from '../primitives/parse.ts';
import type { Policy } from '../primitives/policy.ts';
import { publicKeyAddress } from '../primitives/secp256k1.ts';

/** Types of the ledger that the command line handles without knowing the ledger. */
export type ValidatorCandidate = Candidate;
export type ValidatorChange = Change;

/** A policy of which only some fields are to change. */
export type PolicyFields = Partial<Policy>;

/** A change as it is asked for: the policy's other fields stay as they are. */
export type ChangeRequest = Omit<Change, 'policy'> & { readonly policy: PolicyFields | undefined };

const DESCRIPTOR_FIELDS = ['validator', 'publicKey', 'nodeKey', 'peerId', 'operator', 'multiaddr'];
const POLICY_FIELDS: readonly (keyof Policy)[] = [
  'quorumBasisPoints',
  'expirySeconds',
  'evidenceRemoves',
  'leastValidators',
  'readyLag',
  'rejoinIntervalSeconds',
  'deltaMs',
  'suspicionTimeoutMs',
  'suspicionTimeoutMaxMs',
];

/** Who is to become a validator. `publicKey` and `peerId`, when they are given, must be those of the keys. */
export function parseDescriptor(value: unknown, path: string, problems: Problems): Candidate | undefined {
  const fields = parseObject(value, path, DESCRIPTOR_FIELDS, problems);
  if (fields === undefined) return undefined;
  const at = (field: string) => (path === '' ? field : `${path}.${field}`);
  const validator = parseAddress(fields['validator'], at('validator'), problems);
  const nodeKey = parseNodeKey(fields['nodeKey'], at('nodeKey'), problems);
  const operator = parseAddress(fields['operator'], at('operator'), problems);
  const { publicKey, peerId, multiaddr = '' } = fields;
  if (publicKey !== undefined && validator !== undefined) {
    const bytes = typeof publicKey === 'string' ? fromHex(publicKey) : undefined;
    if (bytes === undefined || publicKeyAddress(bytes) !== validator) {
      problems.add(at('publicKey'), `it is not the key of validator ${validator}`);
    }
  }
  if (peerId !== undefined && nodeKey !== undefined && peerId !== peerIdOf(nodeKey)) {
    problems.add(at('peerId'), `the node key's peer id is ${peerIdOf(nodeKey)}`);
  }
  const found = multiaddr === '' ? '' : parseMultiaddr(multiaddr, at('multiaddr'), nodeKey, problems);
  if (validator === undefined || nodeKey === undefined || operator === undefined || found === undefined)
    return undefined;
  return { validator, nodeKey, operator, multiaddr: found };
}

function parseList<T>(
  value: unknown,
  path: string,
  problems: Problems,
  parse: (item: unknown, path: string) => T | undefined,
): T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    problems.expected(path, 'an array', value);
    return [];
  }
  return value.flatMap((item, i) => parse(item, `${path}[${i}]`) ?? []);
}

function parseReplacement(value: unknown, path: string, problems: Problems): Replacement | undefined {
  const fields = parseObject(value, path, ['validator', 'by'], problems);
  if (fields === undefined) return undefined;
  const validator = parseAddress(fields['validator'], `${path}.validator`, problems);
  const by = parseDescriptor(fields['by'], `${path}.by`, problems);
  return validator === undefined || by === undefined ? undefined : { validator, by };
}

/** Types only: what a policy may be is the contract's to say. Undefined when nothing is named. */
export function parsePolicyFields(value: unknown, path: string, problems: Problems): PolicyFields | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = parseObject(value, path, POLICY_FIELDS, problems);
  if (fields === undefined || Object.keys(fields).length === 0) return undefined;
  for (const [field, given] of Object.entries(fields)) {
    const wanted = field === 'evidenceRemoves' ? 'boolean' : 'number';
    const fits =
      typeof given === wanted && (wanted === 'boolean' || (Number.isSafeInteger(given) && Number(given) >= 0));
    if (!fits)
      problems.add(
        `${path}.${field}`,
        `expected ${wanted === 'boolean' ? 'true or false' : 'a whole number'}, found ${describe(given)}`,
      );
  }
  return fields as PolicyFields;
}

/** `{add, remove, replace, policy}`, each of which may be left out. */
export function parseChange(value: unknown, path: string, problems: Problems): ChangeRequest {
  const fields = parseObject(value, path, ['add', 'remove', 'replace', 'policy'], problems) ?? {};
  const address = (item: unknown, at: string): Address | undefined => parseAddress(item, at, problems);
  return {
    additions: parseList(fields['add'], `${path}.add`, problems, (item, at) => parseDescriptor(item, at, problems)),
    removals: parseList(fields['remove'], `${path}.remove`, problems, address),
    replacements: parseList(fields['replace'], `${path}.replace`, problems, (item, at) =>
      parseReplacement(item, at, problems),
    ),
    policy: parsePolicyFields(fields['policy'], `${path}.policy`, problems),
  };
}

/** The whole change: what the request leaves out of a policy is as it is now. */
export function completeChange({ policy, ...rest }: ChangeRequest, present: Policy): Change {
  return { ...rest, policy: policy === undefined ? undefined : { ...present, ...policy } };
}

export type ChangeJson = {
  readonly add: readonly Candidate[];
  readonly remove: readonly Address[];
  readonly replace: readonly Replacement[];
  readonly policy: Policy | null;
};

export function changeJson({ additions, removals, replacements, policy }: Change): ChangeJson {
  return { add: additions, remove: removals, replace: replacements, policy: policy ?? null };
}
