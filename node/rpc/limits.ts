/** Bounds of the JSON-RPC server (reliability.md section 4). All may be set by configuration. */

export type RpcLimits = {
  /** A request body or WebSocket message. */
  readonly requestBytesMax: number;
  /** All replies of one batch together. */
  readonly replyBytesMax: number;
  readonly batchMax: number;
  readonly depthMax: number;
  /** Separators in a request: bounds what parsing and walking it costs. */
  readonly elementsMax: number;
  readonly httpConnectionsMax: number;
  readonly webSocketsMax: number;
  /** Connections of one address that is not loopback. */
  readonly connectionsPerIpMax: number;
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly headerBytesMax: number;
  readonly pingEveryMs: number;
  /** Messages of one WebSocket worked on at once; reading pauses above. */
  readonly webSocketInFlightMax: number;
  readonly subscriptionsPerSocketMax: number;
  readonly subscriptionsMax: number;
  /** Notifications a socket may leave unread before it is dropped. */
  readonly queuedNotificationsMax: number;
  /** Bytes of one socket, and of the whole server, that wait to be read by clients. */
  readonly unreadBytesPerSocketMax: number;
  readonly unreadBytesMax: number;
  readonly filtersMax: number;
  readonly filterIdleMs: number;
  readonly logBlocksMax: number;
  readonly logsMax: number;
  readonly sendManyMax: number;
  readonly transactionBytesMax: number;
  readonly callGasMax: number;
  readonly waitersMax: number;
  readonly waitMsMax: number;
  /** Work done in one go before the event loop gets its turn. */
  readonly sliceMs: number;
};

const MIB = 1024 * 1024;

export const RPC_LIMITS: RpcLimits = {
  requestBytesMax: MIB,
  replyBytesMax: 10 * 1000 * 1000,
  batchMax: 1000,
  depthMax: 32,
  elementsMax: 50_000,
  httpConnectionsMax: 1000,
  webSocketsMax: 500,
  connectionsPerIpMax: 200,
  requestTimeoutMs: 30_000,
  headersTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  headerBytesMax: 16 * 1024,
  pingEveryMs: 30_000,
  webSocketInFlightMax: 100,
  subscriptionsPerSocketMax: 10,
  subscriptionsMax: 1000,
  queuedNotificationsMax: 1000,
  unreadBytesPerSocketMax: 32 * MIB,
  unreadBytesMax: 256 * MIB,
  filtersMax: 1000,
  filterIdleMs: 5 * 60_000,
  logBlocksMax: 100_000,
  logsMax: 10_000,
  sendManyMax: 1000,
  transactionBytesMax: 128 * 1024,
  callGasMax: 50_000_000,
  waitersMax: 1000,
  waitMsMax: 30_000,
  sliceMs: 5,
};
