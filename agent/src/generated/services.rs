// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

//! What streams can be opened for on the hop between supervisor and agent, and what may travel on them.

#![allow(dead_code)]

use super::messages::Message;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service {
    /// A command. Data is its standard input one way, its standard output the other way; extra its standard error. Aborted, its process group is killed.
    Command,
    /// A question about a file, or something to be done to it. Aborted, what takes long is left half done.
    File,
    /// The contents of a file, as data.
    FileRead,
    /// New contents of a file, as data. Aborted, the old ones stay, unless they had to be written over in place.
    FileWrite,
    /// A tree out of the guest, as data.
    TreeSend,
    /// A tree into the guest, as data. Aborted, a file that was under way is not there, those before it are.
    TreeReceive,
    /// A subscription to what happens to a file or in a directory.
    FileWatch,
    /// A change of the root. The data, if the patch has any, ends with End.
    Patch,
    /// A sign of life of the guest.
    Ping,
    /// Has the guest stand still.
    Stillness,
    /// Writes back what is only in the guest's memory.
    Flush,
    /// The upper disk as it is at one moment. Frozen for as long as the stream is open.
    DiskFreeze,
    /// The orderly end of the guest.
    Shutdown,
    /// What the guest has left.
    Stats,
    /// What the guest tells unasked. There is one such stream, from Boot to the end.
    Events,
}

impl Service {
    /// What a message of the supervisor's opens a stream for.
    pub fn opened_by(message: &Message) -> Option<Service> {
        match message {
            Message::Exec(_) => Some(Service::Command),
            Message::FileStat(_) => Some(Service::File),
            Message::FileMakeDirectory(_) => Some(Service::File),
            Message::FileRemove(_) => Some(Service::File),
            Message::FileRename(_) => Some(Service::File),
            Message::FileCopy(_) => Some(Service::File),
            Message::FileSymlink(_) => Some(Service::File),
            Message::FileReadLink(_) => Some(Service::File),
            Message::FileRealPath(_) => Some(Service::File),
            Message::FileSetMode(_) => Some(Service::File),
            Message::FileSetOwner(_) => Some(Service::File),
            Message::FileSetTimes(_) => Some(Service::File),
            Message::FileTruncate(_) => Some(Service::File),
            Message::FileRead(_) => Some(Service::FileRead),
            Message::FileWrite(_) => Some(Service::FileWrite),
            Message::TreeSend(_) => Some(Service::TreeSend),
            Message::TreeReceive(_) => Some(Service::TreeReceive),
            Message::FileWatch(_) => Some(Service::FileWatch),
            Message::PatchApply(_) => Some(Service::Patch),
            Message::Ping(_) => Some(Service::Ping),
            Message::HoldStill => Some(Service::Stillness),
            Message::FlushDisks => Some(Service::Flush),
            Message::FreezeDisk(_) => Some(Service::DiskFreeze),
            Message::Shutdown(_) => Some(Service::Shutdown),
            Message::StatsRequest => Some(Service::Stats),
            _ => None,
        }
    }

    /// What a message of the agent's own opens a stream for.
    pub fn opened_with(message: &Message) -> Option<Service> {
        match message {
            Message::Events => Some(Service::Events),
            _ => None,
        }
    }

    /// Whether the one who opened the stream may send this.
    pub fn from_opener(self, message: &Message) -> bool {
        match self {
            Service::Command => matches!(message, Message::Signal(_) | Message::Resize(_)),
            Service::File => false,
            Service::FileRead => false,
            Service::FileWrite => false,
            Service::TreeSend => false,
            Service::TreeReceive => false,
            Service::FileWatch => matches!(message, Message::Next),
            Service::Patch => false,
            Service::Ping => false,
            Service::Stillness => false,
            Service::Flush => false,
            Service::DiskFreeze => matches!(message, Message::ReleaseDisk),
            Service::Shutdown => false,
            Service::Stats => false,
            Service::Events => matches!(message, Message::OutOfMemory(_) | Message::PowerOff),
        }
    }

    /// Whether the one who accepted the stream may send this.
    pub fn from_acceptor(self, message: &Message) -> bool {
        match self {
            Service::Command => matches!(
                message,
                Message::ExecStarted(_) | Message::ExecExited(_) | Message::OutputsEnded | Message::ExecFailed(_)
            ),
            Service::File => matches!(
                message,
                Message::FileMetadata(_) | Message::FilePath(_) | Message::FileDone | Message::FileFailed(_)
            ),
            Service::FileRead => matches!(
                message,
                Message::FileOpened(_) | Message::FileDone | Message::FileFailed(_)
            ),
            Service::FileWrite => matches!(
                message,
                Message::FileOpened(_) | Message::FileDone | Message::FileFailed(_)
            ),
            Service::TreeSend => matches!(
                message,
                Message::FileOpened(_) | Message::TreeDone(_) | Message::FileFailed(_)
            ),
            Service::TreeReceive => matches!(
                message,
                Message::FileOpened(_) | Message::TreeDone(_) | Message::FileFailed(_)
            ),
            Service::FileWatch => matches!(
                message,
                Message::FileOpened(_) | Message::FileChanges(_) | Message::FileDone | Message::FileFailed(_)
            ),
            Service::Patch => matches!(message, Message::FileDone | Message::FileFailed(_)),
            Service::Ping => matches!(message, Message::Pong(_)),
            Service::Stillness => matches!(message, Message::StandsStill),
            Service::Flush => matches!(message, Message::FileDone | Message::FileFailed(_)),
            Service::DiskFreeze => matches!(
                message,
                Message::DiskFrozen | Message::FileDone | Message::FileFailed(_)
            ),
            Service::Shutdown => matches!(message, Message::ShuttingDown),
            Service::Stats => matches!(message, Message::Stats(_)),
            Service::Events => false,
        }
    }

    /// Whether the stream is over with this message of the one who accepted it.
    pub fn ends_with(self, message: &Message) -> bool {
        match self {
            Service::Command => matches!(
                message,
                Message::OutputsEnded | Message::ExecFailed(_) | Message::Failure(_)
            ),
            Service::File => matches!(
                message,
                Message::FileMetadata(_) | Message::FilePath(_) | Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::FileRead => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::FileWrite => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::TreeSend => matches!(
                message,
                Message::TreeDone(_) | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::TreeReceive => matches!(
                message,
                Message::TreeDone(_) | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::FileWatch => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::Patch => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::Ping => matches!(message, Message::Pong(_) | Message::Failure(_)),
            Service::Stillness => matches!(message, Message::StandsStill | Message::Failure(_)),
            Service::Flush => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::DiskFreeze => matches!(
                message,
                Message::FileDone | Message::FileFailed(_) | Message::Failure(_)
            ),
            Service::Shutdown => matches!(message, Message::ShuttingDown | Message::Failure(_)),
            Service::Stats => matches!(message, Message::Stats(_) | Message::Failure(_)),
            Service::Events => matches!(message, Message::Failure(_)),
        }
    }

    /// Whether the one who opened the stream may send data, and extra.
    pub fn opener_data(self) -> (bool, bool) {
        match self {
            Service::Command => (true, false),
            Service::File => (false, false),
            Service::FileRead => (false, false),
            Service::FileWrite => (true, false),
            Service::TreeSend => (false, false),
            Service::TreeReceive => (true, false),
            Service::FileWatch => (false, false),
            Service::Patch => (true, false),
            Service::Ping => (false, false),
            Service::Stillness => (false, false),
            Service::Flush => (false, false),
            Service::DiskFreeze => (false, false),
            Service::Shutdown => (false, false),
            Service::Stats => (false, false),
            Service::Events => (false, false),
        }
    }

    /// Whether the one who accepted the stream may send data, and extra.
    pub fn acceptor_data(self) -> (bool, bool) {
        match self {
            Service::Command => (true, true),
            Service::File => (false, false),
            Service::FileRead => (true, false),
            Service::FileWrite => (false, false),
            Service::TreeSend => (true, false),
            Service::TreeReceive => (false, false),
            Service::FileWatch => (false, false),
            Service::Patch => (false, false),
            Service::Ping => (false, false),
            Service::Stillness => (false, false),
            Service::Flush => (false, false),
            Service::DiskFreeze => (false, false),
            Service::Shutdown => (false, false),
            Service::Stats => (false, false),
            Service::Events => (false, false),
        }
    }
}

/// Whether the supervisor may say this on stream 0.
pub fn is_for_connection(message: &Message) -> bool {
    matches!(
        message,
        Message::Seed(_)
            | Message::Clock(_)
            | Message::Mount(_)
            | Message::Boot(_)
            | Message::GoOn(_)
            | Message::BecomeCopy(_)
    )
}
