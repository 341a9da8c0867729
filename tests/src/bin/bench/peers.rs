//! What people use today: block copy over NBD and TLS with certificates at both ends, and rsync.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use landfall_tests::command::{command, is_installed, run};
use landfall_tests::lab::free_port;
use landfall_tests::process::Process;
use landfall_tests::report::megabytes_per_second;

use crate::board::Board;
use crate::material::Material;
use crate::tls;

const COPY_MAX: Duration = Duration::from_secs(600);

/// The peers.
#[derive(Debug)]
pub(crate) struct Peers<'material> {
    material: &'material Material,
    certificates: Option<PathBuf>,
}

/// A server and the client that copies the disk to it.
struct Pair {
    name: &'static str,
    server: &'static str,
    client: &'static str,
}

const PAIRS: &[Pair] = &[
    Pair { name: "nbdcopy, nbdkit", server: "nbdkit", client: "nbdcopy" },
    Pair { name: "nbdcopy, qemu-nbd", server: "qemu-nbd", client: "nbdcopy" },
    Pair { name: "qemu-img, qemu-nbd", server: "qemu-nbd", client: "qemu-img" },
];

impl<'material> Peers<'material> {
    /// Makes the peers' certificates, if there is an `openssl`.
    pub(crate) fn prepare(material: &'material Material) -> Result<Self> {
        let certificates = if is_installed("openssl") { Some(tls::make(&material.lab)?) } else { None };
        Ok(Self { material, certificates })
    }

    /// Takes one turn of every measurement that is wanted.
    pub(crate) fn measure(&self, board: &mut Board) -> Result<()> {
        for pair in PAIRS.iter().filter(|pair| board.wants(pair.name)).collect::<Vec<_>>() {
            let missing = [pair.server, pair.client, "openssl"].into_iter().find(|name| !is_installed(name));
            match (missing, &self.certificates) {
                (None, Some(certificates)) => self.copy(board, pair, certificates)?,
                (missing, _) => {
                    board.skip(pair.name, &format!("{} is not installed", missing.unwrap_or("openssl")))
                }
            }
        }
        if board.wants("rsync") {
            if is_installed("rsync") {
                self.rsync(board)?
            } else {
                board.skip("rsync", "rsync is not installed")
            }
        }
        Ok(())
    }

    /// Copies the disk to a blank one and has it made durable.
    fn copy(&self, board: &mut Board, pair: &Pair, certificates: &Path) -> Result<()> {
        let (target, port) = (self.material.blank("peer.img")?, free_port()?);
        let tls = certificates.display();
        let object = |end: &str| format!("tls-creds-x509,id=tls,dir={tls},endpoint={end}");
        let server = match pair.server {
            "nbdkit" => format!(
                "-f -i 127.0.0.1 -p {port} --tls=require --tls-certificates={tls} --tls-verify-peer file"
            ),
            _ => format!(
                "--object {},verify-peer=yes --tls-creds tls --persistent --shared=16 -f raw --cache=none \
                 --aio=io_uring --bind 127.0.0.1 --port {port}",
                object("server")
            ),
        };
        let client = match pair.client {
            "nbdcopy" => format!(
                "--flush --connections=4 --requests=64 {} nbds://localhost:{port}/?tls-certificates={tls}",
                self.material.first.display()
            ),
            _ => format!(
                "convert -n -m 16 -W -f raw --object {} {} --target-image-opts driver=raw,file.driver=nbd,\
                 file.host=127.0.0.1,file.port={port},file.tls-creds=tls,file.tls-hostname=localhost",
                object("client"),
                self.material.first.display()
            ),
        };
        let mut server = self.start(pair.server, &server, Some(&target))?;
        wait_for_port(port)?;
        let before = server.usage();
        let ended = self.start(pair.client, &client, None)?.succeed(COPY_MAX)?;
        let mut after = server.usage();
        after.cpu -= before.cpu;
        drop(server);
        same(&self.material.first, &target).context(pair.name)?;
        board.note(pair.name, megabytes_per_second(self.material.len.0, ended.time));
        board.note_cost(pair.name, self.material.len.0, ended.usage, after);
        Ok(())
    }

    /// Brings a copy of one disk up to date with another that differs by 2 %.
    fn rsync(&self, board: &mut Board) -> Result<()> {
        let target = self.material.lab.file("peer.img");
        run(command("cp").arg("--sparse=always").arg(&self.material.moved).arg(&target))?;
        run(command("sync").arg(&target))?;
        let arguments = format!(
            "--inplace --no-whole-file --fsync {} {}",
            self.material.touched.display(),
            target.display()
        );
        let ended = self.start("rsync", &arguments, None)?.succeed(COPY_MAX)?;
        same(&self.material.touched, &target).context("rsync")?;
        board.note("rsync", ended.time.as_secs_f64());
        Ok(())
    }

    fn start(&self, program: &str, arguments: &str, last: Option<&Path>) -> Result<Process> {
        let arguments = arguments.split_whitespace().map(PathBuf::from).chain(last.map(Path::to_owned));
        Process::start(program, Path::new(program), arguments, self.material.lab.path())
    }
}

/// Checks that two files hold the same. Errors: they don't.
pub(crate) fn same(one: &Path, other: &Path) -> Result<()> {
    run(command("cmp").arg(one).arg(other)).map(drop)
}

fn wait_for_port(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < deadline, "nobody listens on port {port}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
