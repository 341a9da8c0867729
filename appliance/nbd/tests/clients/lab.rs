//! What the tests of this crate share: images of plain files, and programs that nobody here wrote.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use nbd::{Allocation, Export, ExportError, Exports, Limits, Listen, Server, Span};
use tempfile::TempDir;
use units::{ByteLen, ByteOffset, is_zero};

/// A file served as it is.
pub(crate) struct FileExport {
    file: File,
    len: ByteLen,
    writable: bool,
}

impl FileExport {
    /// Opens a file; a writable one takes writes in place.
    pub(crate) fn open(path: &Path, writable: bool) -> Arc<Self> {
        let file = File::options().read(true).write(writable).open(path).expect("the file is there");
        let len = ByteLen(file.metadata().expect("a file has a length").len());
        Arc::new(Self { file, len, writable })
    }
}

impl Export for FileExport {
    fn len(&self) -> ByteLen {
        self.len
    }

    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError> {
        check(at, into, self.len);
        self.file.read_exact_at(into, at.0).map_err(|error| failed("read", at, error))
    }

    /// Looks at the bytes, granule by granule; at some of them only, as is lawful.
    fn status(&self, at: ByteOffset, len: ByteLen) -> Result<Vec<Span>, ExportError> {
        let mut bytes = vec![0; len.as_usize().min(3 << 20)];
        self.file.read_exact_at(&mut bytes, at.0).map_err(|error| failed("read", at, error))?;
        let kind = |zero| if zero { Allocation::Zero } else { Allocation::Data };
        let span = |part: &[u8]| Span { len: ByteLen(part.len() as u64), allocation: kind(is_zero(part)) };
        Ok(bytes.chunks(4096).map(span).collect())
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn write(&self, at: ByteOffset, bytes: &[u8]) -> Result<(), ExportError> {
        check(at, bytes, self.len);
        self.file.write_all_at(bytes, at.0).map_err(|error| failed("written", at, error))
    }

    fn zero(&self, at: ByteOffset, len: ByteLen) -> Result<(), ExportError> {
        let zeroes = vec![0; len.as_usize()];
        self.file.write_all_at(&zeroes, at.0).map_err(|error| failed("written", at, error))
    }

    fn flush(&self) -> Result<(), ExportError> {
        self.file.sync_data().map_err(|error| failed("flushed", ByteOffset(0), error))
    }
}

/// What the server promises of every call.
fn check(at: ByteOffset, bytes: &[u8], len: ByteLen) {
    let end = at.0 + bytes.len() as u64;
    assert!(at.is_multiple_of(4096) && !bytes.is_empty(), "calls start at granules");
    assert!(end.is_multiple_of(4096) || end == len.0, "calls end at granules or at the end");
    assert!(bytes.len() <= nbd::PIECE_LEN_MAX && bytes.as_ptr().addr().is_multiple_of(4096));
}

fn failed(operation: &'static str, at: ByteOffset, error: std::io::Error) -> ExportError {
    ExportError::Failed { operation, at, source: error.into() }
}

/// A directory with a disk image of odd length: data, a gap of zeroes, data, and a short end.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) disk: PathBuf,
}

/// The length of the image of a [`Bench`].
pub(crate) const DISK_LEN: usize = (6 << 20) + 4096 + 512;

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = directory.path().join("disk.raw");
        std::fs::write(&disk, content()).expect("the image is written");
        Self { directory, disk }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.disk).expect("the image is read")
    }

    /// Serves exports on a unix socket, and returns the server and the URI of its first image.
    pub(crate) fn serve(&self, exports: Vec<Arc<dyn Export>>) -> (Server, String) {
        let socket = self.path("nbd.sock");
        let server =
            Server::start(&Listen::Unix(socket.clone()), Exports::numbered(exports), Limits::default());
        (server.expect("the server starts"), format!("nbd+unix:///?socket={}", socket.display()))
    }
}

fn content() -> Vec<u8> {
    let mut bytes = vec![0; DISK_LEN];
    let mut state = 1_u64;
    let data = (0..1 << 20).chain((3 << 20) - 4096..(4 << 20) + 512).chain(DISK_LEN - 512..DISK_LEN);
    for at in data {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes[at] = (state >> 56) as u8 | 1;
    }
    bytes
}

/// Runs a program to its end, within a minute.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new("timeout").arg("60").arg(program).args(arguments).output();
    output.expect("timeout of coreutils is there")
}

/// Runs a program that has to succeed, and returns what it says.
pub(crate) fn told(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
