//! The views that are open: recovery points, served over NBD until they are closed or `landfalld` ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::api::{Point, View, ViewDisk};
use control::{ApiError, Code};
use link::Credentials;
use nbd::{Allocation, Export, ExportError, Exports, Limits, Listen, Scratch, ScratchRoom, Server};
use target::replica::chain;
use units::{ByteLen, ByteOffset, DiskIndex, MachineName, Timestamp};

/// Views that may be open at once.
const VIEWS_MAX: usize = 32;
/// Bytes whose status is looked up at once.
const STATUS_LEN_MAX: u64 = 1 << 30;

/// Where views are served from.
pub(crate) struct Views {
    /// Unix sockets are made here, unless another place is asked for.
    sockets: PathBuf,
    /// Scratches take their room here.
    scratches: PathBuf,
    credentials: Credentials,
    open: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    views: BTreeMap<u64, OpenView>,
}

/// A view that is served. Fields in the order in which they must go.
struct OpenView {
    server: Server,
    view: Arc<target::View>,
    point: Point,
    /// What the disks are found under, without their number.
    uri: Uri,
    room: Option<(ByteLen, Arc<ScratchRoom>)>,
    opened: Timestamp,
}

/// The two parts of an address between which the number of a disk comes.
type Uri = (String, String);

/// How a view is to be served.
pub(crate) struct Wanted {
    pub(crate) scratch: Option<ByteLen>,
    pub(crate) listen: Option<String>,
}

impl Views {
    /// Remembers where things go; nothing is made before a view is opened.
    pub(crate) fn new(socket: &Path, retention: &Path, credentials: Credentials) -> Self {
        let sockets = socket.parent().map(Path::to_owned).unwrap_or_default();
        Self { sockets, scratches: retention.to_owned(), credentials, open: Mutex::default() }
    }

    /// Serves a view. `room` is what is free where scratches go. Errors: nothing is served, and the view is closed.
    pub(crate) fn open(
        &self,
        view: target::View,
        point: Point,
        wanted: &Wanted,
        room: ByteLen,
        now: Timestamp,
    ) -> Result<View, ApiError> {
        let mut table = self.table();
        if table.views.len() >= VIEWS_MAX {
            let what = format!("{VIEWS_MAX} views are open");
            return Err(ApiError::new(Code::ViewsMost, what));
        }
        let (id, view) = (table.last + 1, Arc::new(view));
        let scratch = self.scratch(&view, wanted.scratch, room)?;
        let exports = Exports::numbered(scratch.0);
        let listen = self.listen(id, wanted.listen.as_deref())?;
        let refused = |error| {
            let made = ApiError::new(Code::ViewListen, "the view can't be served");
            made.because(chain(&error))
        };
        let server = Server::start(&listen, exports, Limits::default()).map_err(refused)?;
        let uri = uri(&listen, &server);
        tracing::info!(machine = %view.machine(), sequence = %view.to(), view = id, "view served");
        table.last = id;
        let view = OpenView { server, view, point, uri, room: scratch.1, opened: now };
        let told = view.describe(id);
        table.views.insert(id, view);
        Ok(told)
    }

    /// Describes every view, by number.
    pub(crate) fn list(&self) -> Vec<View> {
        self.table().views.iter().map(|(id, view)| view.describe(*id)).collect()
    }

    /// Sends the clients of a view away and closes it. Returns it as it was.
    pub(crate) fn close(&self, id: u64) -> Result<View, ApiError> {
        let gone = self.table().views.remove(&id).ok_or_else(|| unknown(id))?;
        // Without the lock: clients that are being served are waited for.
        let told = gone.describe(id);
        drop(gone);
        tracing::info!(machine = %told.machine, view = id, "view closed");
        Ok(told)
    }

    /// Returns the numbers of a machine's views.
    pub(crate) fn of(&self, machine: &MachineName) -> Vec<u64> {
        let table = self.table();
        let of = |(id, view): (&u64, &OpenView)| (view.view.machine() == machine).then_some(*id);
        table.views.iter().filter_map(of).collect()
    }

    /// Refuses what would take a machine's disks or history away while views of it are open.
    pub(crate) fn refuse_if_viewed(&self, machine: &MachineName) -> Result<(), ApiError> {
        match self.of(machine).as_slice() {
            [] => Ok(()),
            open => {
                let ids: Vec<_> = open.iter().map(u64::to_string).collect();
                let what = format!("views of machine {machine} are open: {}", ids.join(", "));
                Err(ApiError::new(Code::ViewsOpen, what))
            }
        }
    }

    /// Closes every view.
    pub(crate) fn close_all(&self) {
        let views = std::mem::take(&mut self.table().views);
        drop(views);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is served for each disk, and the scratch's bound and room.
    #[expect(clippy::type_complexity, reason = "a list of exports and one room, used once")]
    fn scratch(
        &self,
        view: &Arc<target::View>,
        limit: Option<ByteLen>,
        free: ByteLen,
    ) -> Result<(Vec<Arc<dyn Export>>, Option<(ByteLen, Arc<ScratchRoom>)>), ApiError> {
        let disks = (0..).map(DiskIndex).zip(view.lens());
        let below: Vec<Arc<dyn Export>> = disks
            .map(|(disk, len)| {
                Arc::new(DiskOfView { view: view.clone(), disk, len: *len }) as Arc<dyn Export>
            })
            .collect();
        let Some(limit) = limit else { return Ok((below, None)) };
        let none = || ApiError::new(Code::ViewScratch, format!("a scratch of {limit} can't be had"));
        if limit > free || limit == ByteLen::ZERO {
            return Err(none().because(format!("the retention volume has {free} free")));
        }
        let room = ScratchRoom::new(limit);
        let over = |export| {
            let scratch = Scratch::over(export, &self.scratches, room.clone());
            scratch.map(|scratch| Arc::new(scratch) as Arc<dyn Export>).map_err(|error| none().because(error))
        };
        let exports = below.into_iter().map(over).collect::<Result<_, _>>()?;
        Ok((exports, Some((limit, room))))
    }

    fn listen(&self, id: u64, wanted: Option<&str>) -> Result<Listen, ApiError> {
        let refused =
            |text: &str| ApiError::new(Code::ViewAddress, format!("{text:?} is no address for a view"));
        match wanted {
            None => Ok(Listen::Unix(self.sockets.join(format!("view-{id}.sock")))),
            Some(text) => match text.strip_prefix("unix:") {
                Some(path) if Path::new(path).is_absolute() => Ok(Listen::Unix(path.into())),
                None if text
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) =>
                {
                    let (address, credentials) = (text.to_owned(), self.credentials.clone());
                    Ok(Listen::Tls { address, credentials })
                }
                _ => Err(refused(text)),
            },
        }
    }
}

impl OpenView {
    fn describe(&self, id: u64) -> View {
        let (before, behind) = &self.uri;
        let disk = |(index, len): (u16, &ByteLen)| ViewDisk {
            index: DiskIndex(index),
            len_bytes: len.0,
            uri: format!("{before}{index}{behind}"),
        };
        View {
            id,
            machine: self.view.machine().clone(),
            point: self.point.clone(),
            opened: self.opened.into(),
            disks: (0..).zip(self.view.lens()).map(disk).collect(),
            scratch_bytes: self.room.as_ref().map(|(limit, _)| limit.0),
            used_bytes: self.room.as_ref().map_or(0, |(_, room)| room.used().0),
            connections: self.server.connections() as u64,
            ended: self.view.ended().map(str::to_owned),
        }
    }
}

/// One disk of a view, as the NBD server wants it.
struct DiskOfView {
    view: Arc<target::View>,
    disk: DiskIndex,
    len: ByteLen,
}

impl Export for DiskOfView {
    fn len(&self) -> ByteLen {
        self.len
    }

    fn read(&self, at: ByteOffset, into: &mut [u8]) -> Result<(), ExportError> {
        let done = self.view.read(self.disk, at, into);
        done.map_err(|source| ExportError::Failed { operation: "read", at, source: source.into() })
    }

    fn status(&self, at: ByteOffset, len: ByteLen) -> Result<Vec<nbd::Span>, ExportError> {
        let len = len.min(ByteLen(STATUS_LEN_MAX));
        let span = wire::Span { disk: self.disk, start: at, len };
        let failed = |source: target::replica::ReplicaError| ExportError::Failed {
            operation: "looked up",
            at,
            source: source.into(),
        };
        let told = |(part, zero): (wire::Span, bool)| nbd::Span {
            len: part.len,
            allocation: if zero { Allocation::Zero } else { Allocation::Data },
        };
        Ok(self.view.zeroes(&span).map_err(failed)?.into_iter().map(told).collect())
    }
}

fn unknown(id: u64) -> ApiError {
    ApiError::new(Code::ViewUnknown, format!("view {id} is not known"))
}

/// Returns the NBD URI of a server's disks (the NBD project's uri.md), cut where their number comes.
fn uri(listen: &Listen, server: &Server) -> Uri {
    match listen {
        Listen::Unix(path) => {
            ("nbd+unix:///".to_owned(), format!("?socket={}", encoded(&path.to_string_lossy())))
        }
        Listen::Tls { address, .. } => {
            let host = address.rsplit_once(':').map_or("", |(host, _)| host);
            let port = server.tcp_address().map_or(0, |address| address.port());
            (format!("nbds://{host}:{port}/"), String::new())
        }
    }
}

/// Writes what is no plain letter of a path as RFC 3986 has it.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
