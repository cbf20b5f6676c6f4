import { down, requests, silent, up, type Area } from "./types.ts";

/**
 * The guest's files. Paths are bytes, as Linux has them: whatever but NUL. Times are ns since 1970, which may be before it.
 *
 * A tree travels as data: a sequence of records, which frames may cut anywhere. A record is its length (u32, without itself), its
 * kind (one byte, the RECORD_ numbers of `limits.ts`) and its fields: a TreeEntry, a FileProblem, the path of a further name of a file (bytes) and the one that came before (bytes), or the length (u53) of data or of a
 * hole. The bytes of data follow its record and are not counted by it. So small files cost no frames and no answers of their own.
 * Parents come before their children; after a file come its data and holes, which add up to its size. A problem before they do ends
 * the file: it could not be read to its end, and what came of it is void.
 */
export const files = {
  enums: {
    /** other: a device, a pipe, a socket. */
    FileKind: ["file", "directory", "symlink", "other"],
    /** What inotify tells (inotify(7)). overflow: more happened than could be told. gone: what was watched is not there any more. */
    FileChangeKind: [
      "created",
      "modified",
      "closed",
      "attributes",
      "deleted",
      "movedFrom",
      "movedTo",
      "gone",
      "overflow",
    ],
  },
  structs: {
    /** path is below the tree's root, empty for the root itself. mode has no type: at most 0o7777. size is that of lstat(2); of a tree that has contents it counts for files alone. target is empty but for a link. */
    TreeEntry: {
      path: "bytes",
      kind: { enum: "FileKind" },
      mode: "u16",
      uid: "u32",
      gid: "u32",
      mtimeNs: "i64",
      size: "u53",
      target: "bytes",
    },
    /** What could not be done to one entry of a tree. */
    FileProblem: { path: "bytes", operation: "str", errno: "i32", message: "str" },
    /** name is empty for what is watched itself. cookie joins the two halves of a rename, else it is 0. */
    FileChange: { kind: { enum: "FileChangeKind" }, name: "bytes", isDirectory: "bool", cookie: "u32" },
  },
  messages: {
    FileStat: {
      tag: 90,
      routes: down,
      doc: "Answered by FileMetadata. follow: of what a link leads to.",
      fields: { path: "bytes", follow: "bool" },
    },
    FileMetadata: {
      tag: 91,
      routes: up,
      doc: "The path of the entry is empty. createdNs: where the file system knows it.",
      fields: { entry: { struct: "TreeEntry" }, createdNs: { optional: "i64" }, links: "u53" },
    },
    FileRead: {
      tag: 92,
      routes: down,
      doc: "Answered by FileOpened, the contents, and FileDone. length null: to the end.",
      fields: { path: "bytes", offset: "u53", length: { optional: "u53" } },
    },
    FileOpened: {
      tag: 93,
      routes: up,
      doc: "What was asked for is there and can be used. size is what it had then, bytes; 0 where that means nothing.",
      fields: { size: "u53" },
    },
    FileWrite: {
      tag: 94,
      routes: down,
      doc: "Answered by FileOpened; the contents follow, and End, which is answered by FileDone. Until then the old file is there; where no file can be made beside it, until the first byte comes. mode null: as the old file's, or 0644.",
      fields: { path: "bytes", mode: { optional: "u16" } },
    },
    FileMakeDirectory: {
      tag: 95,
      routes: down,
      doc: "parents: makes those that are missing too, and one that is there is no error.",
      fields: { path: "bytes", parents: "bool", mode: { optional: "u16" } },
    },
    FileRemove: {
      tag: 96,
      routes: down,
      doc: "recursive: a directory with all that is in it. Else anything but a directory.",
      fields: { path: "bytes", recursive: "bool" },
    },
    FileRename: { tag: 97, routes: down, doc: "As rename(2).", fields: { from: "bytes", to: "bytes" } },
    FileCopy: {
      tag: 98,
      routes: down,
      doc: "One file with its mode; what was there is replaced as by FileWrite.",
      fields: { from: "bytes", to: "bytes" },
    },
    FileSymlink: {
      tag: 99,
      routes: down,
      doc: "As symlink(2).",
      fields: { target: "bytes", path: "bytes" },
    },
    FileReadLink: { tag: 100, routes: down, doc: "Answered by FilePath.", fields: { path: "bytes" } },
    FileRealPath: { tag: 101, routes: down, doc: "Answered by FilePath.", fields: { path: "bytes" } },
    FilePath: {
      tag: 102,
      routes: up,
      doc: "The answer to FileReadLink and FileRealPath.",
      fields: { path: "bytes" },
    },
    FileSetMode: {
      tag: 103,
      routes: down,
      doc: "As chmod(2).",
      fields: { path: "bytes", mode: "u16" },
    },
    FileSetOwner: {
      tag: 104,
      routes: down,
      doc: "As chown(2), or lchown(2) without follow. null: as it is.",
      fields: { path: "bytes", uid: { optional: "u32" }, gid: { optional: "u32" }, follow: "bool" },
    },
    FileSetTimes: {
      tag: 105,
      routes: down,
      doc: "As utimensat(2). null: as it is.",
      fields: {
        path: "bytes",
        accessedNs: { optional: "i64" },
        modifiedNs: { optional: "i64" },
        follow: "bool",
      },
    },
    FileTruncate: {
      tag: 106,
      routes: down,
      doc: "As truncate(2).",
      fields: { path: "bytes", size: "u53" },
    },
    FileDone: { tag: 107, routes: up, doc: "It was done.", fields: {} },
    FileFailed: {
      tag: 108,
      routes: up,
      doc: "It could not be done. operation: the step that failed, such as open. errno 0 when no system call failed.",
      fields: { path: "bytes", operation: "str", errno: "i32", message: "str" },
    },
    TreeSend: {
      tag: 109,
      routes: down,
      doc: "Answered by FileOpened, the records of the tree, and TreeDone. followRoot: what path is, if it is a link. followAll: every link. contents: those of files too; without them a file has no data and no holes. depth: so many levels below the root, null for all.",
      fields: {
        path: "bytes",
        followRoot: "bool",
        followAll: "bool",
        contents: "bool",
        depth: { optional: "u32" },
      },
    },
    TreeReceive: {
      tag: 110,
      routes: down,
      doc: "Answered by FileOpened; the records of a tree follow, and End, which is answered by TreeDone. What is there already is kept or replaced. keepMode, keepTimes, keepOwner: as the entries say, else as a program of root's would make them.",
      fields: { path: "bytes", keepMode: "bool", keepTimes: "bool", keepOwner: "bool" },
    },
    TreeDone: {
      tag: 111,
      routes: up,
      doc: "The tree has travelled but for what is named; of many problems the first ones are.",
      fields: {
        problemCount: "u53",
        problems: { list: { struct: "FileProblem" } },
      },
    },
    FileWatch: {
      tag: 112,
      routes: down,
      doc: "Answered by FileOpened, by FileChanges for each Next, and by FileDone when what was watched is gone.",
      fields: { path: "bytes" },
    },
    FileChanges: {
      tag: 113,
      routes: up,
      doc: "What has happened since the last one, at least one change.",
      fields: { changes: { list: { struct: "FileChange" } } },
    },
  },
  services: {
    file: requests(
      "A question about a file, or something to be done to it. Aborted, what takes long is left half done.",
      down,
      [
        "FileStat",
        "FileMakeDirectory",
        "FileRemove",
        "FileRename",
        "FileCopy",
        "FileSymlink",
        "FileReadLink",
        "FileRealPath",
        "FileSetMode",
        "FileSetOwner",
        "FileSetTimes",
        "FileTruncate",
      ],
      ["FileMetadata", "FilePath", "FileDone", "FileFailed"],
    ),
    fileRead: {
      doc: "The contents of a file, as data.",
      opens: ["FileRead"],
      routes: down,
      opener: silent,
      acceptor: { messages: ["FileOpened"], data: ["data"], ends: ["FileDone", "FileFailed"] },
    },
    fileWrite: {
      doc: "New contents of a file, as data. Aborted, the old ones stay, unless they had to be written over in place.",
      opens: ["FileWrite"],
      routes: down,
      opener: { messages: [], data: ["data"] },
      acceptor: { messages: ["FileOpened"], data: [], ends: ["FileDone", "FileFailed"] },
    },
    treeSend: {
      doc: "A tree out of the guest, as data.",
      opens: ["TreeSend"],
      routes: down,
      opener: silent,
      acceptor: { messages: ["FileOpened"], data: ["data"], ends: ["TreeDone", "FileFailed"] },
    },
    treeReceive: {
      doc: "A tree into the guest, as data. Aborted, a file that was under way is not there, those before it are.",
      opens: ["TreeReceive"],
      routes: down,
      opener: { messages: [], data: ["data"] },
      acceptor: { messages: ["FileOpened"], data: [], ends: ["TreeDone", "FileFailed"] },
    },
    fileWatch: {
      doc: "A subscription to what happens to a file or in a directory.",
      opens: ["FileWatch"],
      routes: down,
      opener: { messages: ["Next"], data: [] },
      acceptor: { messages: ["FileOpened", "FileChanges"], data: [], ends: ["FileDone", "FileFailed"] },
    },
  },
} as const satisfies Area;
