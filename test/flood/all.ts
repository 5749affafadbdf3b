/** Every flood there is. */
import { type Flood, MESSAGE_FLOODS } from './floods.ts';
import { RPC_FLOODS } from './rpc-floods.ts';
import { STRANGERS } from './strangers.ts';

export const FLOODS: readonly Flood[] = [...MESSAGE_FLOODS, ...RPC_FLOODS, ...STRANGERS];
