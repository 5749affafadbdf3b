// SPDX-License-Identifier: Apache-2.0
pragma solidity >=0.8.0;

/// The governance contract of a Quorate chain, at 0x0000000000000000000000000000000000000100.
///
/// The operators of the current validators choose the next ones here, by ordinary transactions. Proposing counts as the
/// proposer's approval, and so may be all it takes. When a proposal passes, the block it passed in is the last of its
/// epoch, and the next block belongs to the new validators.
///
/// Calls take no coins. A call that fails reverts with a sentence that says why and what to do (`Error(string)`). Every
/// function costs a fixed amount of gas above the 21,000 of a transaction and its calldata; docs/limits.md lists them.
interface Governance {
    struct Validator {
        address validator; // of the key that signs consensus messages
        bytes nodeKey; // compressed secp256k1 public key of its libp2p identity, 33 bytes
        address operator; // account that casts its vote and receives its fees
    }

    struct Candidate {
        address validator;
        bytes nodeKey;
        address operator;
        string multiaddr; // where it is found, as /ip4/10.0.0.7/tcp/30300; may be empty
    }

    struct Replacement {
        address validator; // the member whose place it takes
        Candidate by;
    }

    struct Policy {
        uint16 quorumBasisPoints; // passes when approvals * 10,000 > validators * this; 5,000 to 9,999
        uint32 expirySeconds; // life of a proposal, by the time in blocks
        bool evidenceRemoves; // whether proven evidence removes the culprit, or is only recorded
        uint16 leastValidators; // no change may leave fewer
        uint32 readyLag; // blocks for which a READY counts
        uint32 rejoinIntervalSeconds; // least time between two same-set epochs for one validator
        // From the next epoch on; all 0: as the genesis has them.
        uint32 deltaMs; // bound on a message's delay between correct validators
        uint32 suspicionTimeoutMs; // where time-outs of suspicion start
        uint32 suspicionTimeoutMaxMs; // how far doubling takes them
    }

    struct Proposal {
        uint256 id;
        address proposer;
        uint64 epoch; // in which it was made
        uint64 createdAt; // Unix seconds, as all times here
        uint64 expiresAt;
        uint8 status; // 1 open, 2 passed, 3 withdrawn, 4 expired, 5 lapsed because the epoch ended
        uint64 endedAt; // 0 while it is open
        Candidate[] additions;
        address[] removals;
        Replacement[] replacements;
        Policy policy; // all 0: it stays as it is
        address[] approvals; // validators, in the order of their votes
        address[] rejections;
    }

    /// Proposes a change of the validators, the policy, or both. Removals close up, replacements keep their place,
    /// additions go to the end. A policy with `quorumBasisPoints` 0, and all else 0, leaves it as it is.
    function propose(
        Candidate[] calldata additions,
        address[] calldata removals,
        Replacement[] calldata replacements,
        Policy calldata policy
    ) external returns (uint256 id);

    /// Votes for every validator that the sender is the operator of. A vote may be changed while the proposal is open.
    function vote(uint256 id, bool approve) external;

    /// Takes back a proposal of the sender's own.
    function withdraw(uint256 id) external;

    /// States, over the validator key's signature, that it has followed the chain to this block and signs as this
    /// incarnation of its log. From a candidate of an open proposal it counts towards the readiness of the new set; from
    /// a current validator it asks for an epoch with the same validators, in which it may sign again after it lost its
    /// log. Anybody may hand it in. Signed is keccak256(RLP(["quorate/READY/1", chainId, genesisHash, epoch, validator,
    /// height, hash, incarnation])), as r, s, yParity.
    function ready(
        address validator,
        uint64 height,
        bytes32 hash,
        bytes16 incarnation,
        bytes calldata signature
    ) external;

    /// Hands in evidence against a validator: the bytes that `xft_getEvidence id` calls `evidence`, at most 98,304, about
    /// this epoch or the one before. Every node judges it again. It is recorded once for each validator, epoch and kind;
    /// where the policy's `evidenceRemoves` says so, and `leastValidators` allows it, the epoch ends with this block and the
    /// culprit is no member of the next. For operators of current validators.
    function reportEvidence(bytes calldata evidence) external;

    /// Epoch of the block that is read.
    function epoch() external view returns (uint64);

    /// Validators of the block that is read.
    function validators() external view returns (Validator[] memory);

    /// Validators of the block after it: others only when it is the last of its epoch.
    function nextValidators() external view returns (Validator[] memory);

    function policy() external view returns (Policy memory);

    /// An open proposal, or one that ended lately: the last 64, fewer when they are large.
    function proposal(uint256 id) external view returns (Proposal memory);

    function proposals() external view returns (Proposal[] memory open, Proposal[] memory ended);

    /// Whether the validator counts as one that could start an epoch: a current one, or a candidate whose READY is recent
    /// enough. `incarnation` is what its READY says, or what a current one was last admitted with.
    function readiness(address validator)
        external
        view
        returns (bool counts, uint64 height, bytes32 hash, bytes16 incarnation);

    /// Where a current validator is found, as the proposal said that named it last; empty for founders.
    function multiaddr(address validator) external view returns (string memory);

    event Proposed(
        uint256 indexed id,
        address indexed proposer,
        Candidate[] additions,
        address[] removals,
        Replacement[] replacements,
        Policy policy,
        uint64 expiresAt
    );
    event Voted(uint256 indexed id, address indexed validator, address indexed operator, bool approve);
    event Withdrawn(uint256 indexed id);
    /// Told by the first call after its time.
    event Expired(uint256 indexed id);
    /// Another proposal passed and ended the epoch.
    event Lapsed(uint256 indexed id);
    event Ready(address indexed validator, uint64 height, bytes32 hash, bytes16 incarnation);
    /// `kind` is its number in docs/wire.md, `epoch` the one it is about. `removed`: an EpochClosed follows.
    event EvidenceRecorded(
        address indexed validator,
        uint64 indexed epoch,
        uint8 kind,
        uint64 viewNumber,
        bool removed
    );
    /// `epoch` is the one it opens.
    event Passed(uint256 indexed id, uint64 indexed epoch);
    /// Once in the last block of every epoch. `epoch` is the next one, `ready[i]` may sign in it as `incarnations[i]`.
    event EpochClosed(
        uint64 indexed epoch,
        bytes32 membershipHash,
        Validator[] validators,
        address[] ready,
        bytes16[] incarnations
    );
}
