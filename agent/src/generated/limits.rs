// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

/// Bytes; what one message may take.
pub const MAX_CONTROL_PAYLOAD: usize = 4194304;
/// Bytes; what one frame of data may take. Longer data takes several frames.
pub const MAX_DATA_PAYLOAD: usize = 65536;
/// Bytes that each side may send on a stream before the other has granted any.
pub const INITIAL_CREDIT: usize = 262144;
