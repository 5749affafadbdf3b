/** Bounds of the transaction pool (reliability.md section 4, row "Mempool"). All may be set by configuration. */

export type PoolLimits = {
  readonly transactionsMax: number;
  readonly bytesMax: number;
  /** Executable transactions one sender may hold; a filled gap may add the `gappedMax` behind it on top. */
  readonly executablePerSender: number;
  /** Transactions one sender may hold behind a nonce gap. */
  readonly gappedPerSender: number;
  readonly transactionBytesMax: number;
  readonly timeToLiveMs: number;
  /** By how many percent both fee caps of a replacement must exceed the replaced one's. */
  readonly priceBumpPercent: number;
};

export const POOL_LIMITS: PoolLimits = {
  transactionsMax: 8192,
  bytesMax: 64 * 1024 * 1024,
  executablePerSender: 1024,
  gappedPerSender: 64,
  transactionBytesMax: 128 * 1024,
  timeToLiveMs: 60 * 60 * 1000,
  priceBumpPercent: 10,
};
