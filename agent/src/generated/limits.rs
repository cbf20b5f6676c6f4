// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

/// Bytes; what one message may take.
pub const MAX_CONTROL_PAYLOAD: usize = 4194304;
/// Bytes; what one frame of data may take. Longer data takes several frames.
pub const MAX_DATA_PAYLOAD: usize = 65536;
/// Bytes that each side may send on a stream before the other has granted any.
pub const INITIAL_CREDIT: usize = 524288;
/// Credit is granted in portions of at least the initial credit divided by this.
pub const CREDIT_PORTIONS: usize = 4;
/// Bytes before a frame's payload: its length, stream and kind.
pub const FRAME_HEADER_BYTES: usize = 9;
/// Bytes of a frame's header that its length counts: stream and kind.
pub const COUNTED_HEADER_BYTES: usize = 5;
/// In a tree: an entry of it.
pub const RECORD_ENTRY: usize = 1;
/// In a tree: so many bytes of the file before follow.
pub const RECORD_DATA: usize = 2;
/// In a tree: so many bytes of the file before are a hole.
pub const RECORD_HOLE: usize = 3;
/// In a tree: what could not be read. Within a file it ends the file, which is void.
pub const RECORD_PROBLEM: usize = 4;
/// In a tree for a guest: a further name of a file that came before.
pub const RECORD_LINK: usize = 5;
/// Bytes; what one record of a tree may take, without its length.
pub const MAX_RECORD: usize = 65536;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameKind {
    Control = 0,
    Data = 1,
    Extra = 2,
}

impl FrameKind {
    /// By the byte of a frame's header.
    pub fn of(byte: u8) -> Option<FrameKind> {
        match byte {
            0 => Some(FrameKind::Control),
            1 => Some(FrameKind::Data),
            2 => Some(FrameKind::Extra),
            _ => None,
        }
    }
}
