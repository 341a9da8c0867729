//! The master target: its machines, its threads, and the door for sessions.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::time::Duration;

use blockdev::{
    Access, BackgroundReader, DirVolume, EngineChoice, Expect, FilePolicy, OpenDevice, PagePool, open_device,
    start_background_reader,
};
use link::{Acceptor, Limits};
use retention::{HeadDisk, Policy};
use units::{ByteLen, MachineId, MachineName};

use crate::door::{Door, serve};
use crate::error::TargetError;
use crate::failback::Notary;
use crate::machine::{Machine, lock};
use crate::occupied::Occupations;
use crate::replica::{
    Replica, ReplicaError, ReplicaLimits, ResidentBudget, Setup, Shared, Unrecovered, list_machines,
    relocate, remove_machine, was_never_added,
};
use crate::volume_file::{Claim, NewVolume, check_directory, claim_volume};
use crate::whereabouts::find_disk;
use crate::worker::{CommitOrder, EngineSetting, Thread, WorkOrder, start_committer, start_worker};

/// Buffers of 256 KiB for the committing thread, and for each worker.
const COMMIT_BUFFERS: usize = 32;
const APPLY_BUFFERS: usize = 96;
const BUFFER_LEN: usize = 256 << 10;
/// Reads of views that the shared reader has under way.
const BACKGROUND_DEPTH: usize = 128;

/// How a master target is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The name of this node, as its certificate carries it.
    pub name: MachineName,
    /// The limits of each machine.
    pub replica: ReplicaLimits,
    /// Memory durable payloads may keep until they are destaged, over all machines.
    pub resident: ByteLen,
    /// Payload bytes one connection may have under way,
    pub window: ByteLen,
    /// and what all share; each is granted 2 MiB at least.
    pub window_total: ByteLen,
    /// Threads that apply.
    pub workers: usize,
    /// Connections served at once.
    pub connections: usize,
    /// io_uring, or plain calls where it is switched off.
    pub engine: EngineChoice,
    /// How long an operation on a device may take before the device is out.
    pub device_deadline: Duration,
    /// Bytes a second that scrubbing reads, of each machine; 0 for no limit.
    pub scrub_rate: ByteLen,
    /// How long after a scrub the next one begins.
    pub scrub_every: Duration,
    /// Signs the manifests of failbacks.
    pub notary: Arc<dyn Notary>,
}

impl NodeConfig {
    pub(crate) fn engine_setting(&self) -> EngineSetting {
        EngineSetting { choice: self.engine, deadline: self.device_deadline }
    }
}

/// A running master target. Dropping it ends its threads; nothing acked is lost.
pub struct MasterTarget {
    pub(crate) volume: DirVolume,
    pub(crate) config: NodeConfig,
    pub(crate) machines: RwLock<BTreeMap<MachineName, Arc<Machine>>>,
    pub(crate) occupied: Occupations,
    pub(crate) committer: Thread<CommitOrder>,
    pub(crate) workers: Vec<Thread<WorkOrder>>,
    pools: Vec<PagePool>,
    budget: ResidentBudget,
    /// The policy of machines that have none of their own.
    pub(crate) defaults: Mutex<Policy>,
    stopping: AtomicBool,
    /// Reads for views; started with the first.
    background: Mutex<Option<Arc<dyn BackgroundReader>>>,
    /// Machines on the volume that can't even be named, with the reason.
    unreadable: Mutex<Vec<String>>,
    /// Held while a machine is between two generations.
    pub(crate) reprotects: Mutex<()>,
}

impl MasterTarget {
    /// Opens the retention volume in `directory`, recovers every machine on it, and starts the threads. A machine that can't be
    /// recovered is listed as out; it is no error. `new` is what a volume says of itself that is made now. Errors: the volume is
    /// not one, is locked, another node's or can't be read; no engine.
    pub fn open(directory: &Path, config: NodeConfig, new: &NewVolume) -> Result<Arc<Self>, TargetError> {
        check_directory(directory)?;
        let volume = DirVolume::open(directory)?;
        let superblock = claim_volume(&volume, config.engine, Claim::Serve(&config.name), new)?;
        let system = |source| TargetError::System { what: "a thread", source };
        let setting = config.engine_setting();
        let commit_pool = PagePool::new(COMMIT_BUFFERS, BUFFER_LEN);
        let committer = start_committer(setting, commit_pool, volume.clone());
        let mut workers = Vec::new();
        let mut pools = Vec::new();
        for _ in 0..config.workers {
            let pool = PagePool::new(APPLY_BUFFERS, BUFFER_LEN);
            pools.push(pool.clone());
            workers.push(start_worker(setting, pool).map_err(system)?);
        }
        let node = Self {
            volume,
            budget: ResidentBudget::new(config.resident),
            defaults: Mutex::new(superblock.defaults),
            config,
            machines: RwLock::default(),
            occupied: Occupations::default(),
            committer: committer.map_err(system)?,
            workers,
            pools,
            stopping: AtomicBool::new(false),
            reprotects: Mutex::default(),
            background: Mutex::default(),
            unreadable: Mutex::default(),
        };
        for id in list_machines(&node.volume)? {
            node.recover(id)?;
        }
        let node = Arc::new(node);
        crate::scrub::start(&node).map_err(system)?;
        Ok(node)
    }

    /// Takes connections until [`stop`](Self::stop); each is served on a thread of its own.
    pub fn listen(self: &Arc<Self>, listener: TcpListener, acceptor: Acceptor) -> Result<(), TargetError> {
        let open = Arc::new(AtomicU64::new(0));
        let door = Arc::new(self.door(open.clone()));
        for socket in listener.incoming() {
            if self.stopping.load(Ordering::Relaxed) {
                door.stopping.store(true, Ordering::Relaxed);
                self.machines().iter().for_each(|machine| machine.shared.changed());
                return Ok(());
            }
            let socket = match socket {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            if open.load(Ordering::Relaxed) >= self.config.connections as u64 {
                tracing::warn!(most = self.config.connections, "too many connections: one more is closed");
                continue;
            }
            open.fetch_add(1, Ordering::Relaxed);
            let (door, acceptor, counted) = (door.clone(), acceptor.clone(), Counted(open.clone()));
            let run = move || {
                let _counted = counted;
                connect(&door, &acceptor, socket);
            };
            let thread = std::thread::Builder::new().name("session".to_owned()).stack_size(512 << 10);
            if let Err(error) = thread.spawn(run) {
                tracing::warn!(%error, "no thread for a connection");
            }
        }
        Ok(())
    }

    /// Ends the listening; sessions are told that the target stops. `listen` returns after one more connection.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Returns the reader that views share.
    pub(crate) fn background(&self) -> Result<Arc<dyn BackgroundReader>, TargetError> {
        let mut started = lock(&self.background);
        if let Some(reader) = &*started {
            return Ok(reader.clone());
        }
        let reader: Arc<dyn BackgroundReader> =
            start_background_reader(BACKGROUND_DEPTH, self.config.engine)?.into();
        *started = Some(reader.clone());
        Ok(reader)
    }

    /// Returns the name of this node.
    pub fn name(&self) -> &MachineName {
        &self.config.name
    }

    /// Returns why each machine that is on the volume, but can't be named, is missing from the machines.
    pub fn unreadable(&self) -> Vec<String> {
        lock(&self.unreadable).clone()
    }

    /// Returns every machine, by name.
    pub fn machines(&self) -> Vec<Arc<Machine>> {
        self.machines.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Returns one machine.
    pub fn machine(&self, name: &MachineName) -> Result<Arc<Machine>, TargetError> {
        let machines = self.machines.read().unwrap_or_else(PoisonError::into_inner);
        machines.get(name).cloned().ok_or_else(|| TargetError::UnknownMachine { name: name.clone() })
    }

    fn door(self: &Arc<Self>, open: Arc<AtomicU64>) -> Door {
        let node = Arc::downgrade(self);
        Door {
            window_max: self.config.window.0,
            window_total: self.config.window_total.0,
            open,
            budget: self.budget.clone(),
            find: Box::new(move |name| node.upgrade()?.machine(name).ok()),
            stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn setup(&self, worker: usize) -> Setup<DirVolume> {
        Setup {
            volume: self.volume.clone(),
            limits: ReplicaLimits { retention: *lock(&self.defaults), ..self.config.replica },
            pool: self.pools[worker].clone(),
            budget: self.budget.clone(),
            committer: self.committer.bell.clone(),
            worker: self.workers[worker].bell.clone(),
        }
    }

    /// Returns the worker with the fewest machines.
    pub(crate) fn next_worker(&self) -> usize {
        let machines = self.machines();
        let load = |worker: &usize| machines.iter().filter(|machine| machine.worker == *worker).count();
        (0..self.workers.len()).min_by_key(load).expect("a node has a worker")
    }

    pub(crate) fn recover(&self, id: MachineId) -> Result<(), TargetError> {
        let worker = self.next_worker();
        let setup = self.setup(worker);
        let recovered = self.on_worker(worker, move |engine, appliers| {
            let moved = |disk: &HeadDisk| find_disk(disk, &[]).moved_to();
            // A head that can't be read, or written, says so again below.
            let _ = relocate(engine, &setup.pool, &setup.volume, id, moved);
            let replica = Replica::recover(engine, setup, id, open_target)?;
            let head = replica.applier.head().clone();
            let shared = replica.applier.shared().clone();
            appliers.insert(id, replica.applier);
            Ok::<_, Unrecovered>((head, shared, replica.appender))
        });
        let Ok(recovered) = recovered else {
            // A panic: it was reported where it happened, and concerns this machine alone.
            tracing::error!(machine = %id, "a machine can't be recovered for a mistake of landfalld's own");
            lock(&self.unreadable)
                .push(format!("machine {id} can't be recovered: landfalld met a mistake of its own"));
            return Ok(());
        };
        let machine = match recovered {
            Ok((head, shared, appender)) => {
                self.committer.order(CommitOrder::Adopt(id, Box::new(appender)));
                tracing::info!(machine = %head.name, durable = %shared.lock().durable, applied = %head.applied, "recovered");
                Machine::new(&head, shared, worker)
            }
            Err(Unrecovered { head: Some(head), error }) => {
                Machine::new(&head, Arc::new(Shared::out_of_service(&head, &error)), worker)
            }
            Err(Unrecovered { head: None, error }) if was_never_added(&self.volume, id, &error) => {
                tracing::warn!(machine = %id, "what a crash left of a machine that was being added is removed");
                return remove_machine(&self.volume, id).or_else(|error| {
                    self.miss(id, &error);
                    Ok(())
                });
            }
            Err(Unrecovered { head: None, error }) => {
                self.miss(id, &error);
                return Ok(());
            }
        };
        self.insert(machine);
        Ok(())
    }

    /// Remembers why a machine on the volume can't even be named.
    fn miss(&self, id: MachineId, error: &ReplicaError) {
        let error = crate::replica::chain(error);
        tracing::error!(machine = %id, error, "a machine's head can't be read");
        lock(&self.unreadable).push(format!("machine {id} can't be had: {error}"));
    }

    pub(crate) fn insert(&self, machine: Machine) -> Arc<Machine> {
        let machine = Arc::new(machine);
        machine.scrub.pace.rate.store(self.config.scrub_rate.0, Ordering::Relaxed);
        let mut machines = self.machines.write().unwrap_or_else(PoisonError::into_inner);
        machines.insert(machine.name.clone(), machine.clone());
        machine
    }

    /// Takes a machine from the threads and removes what it has on the volume.
    pub(crate) fn forget(&self, machine: &Machine) -> Result<(), TargetError> {
        let id = machine.id;
        machine.scrub.stop();
        let (told, waits) = mpsc::channel();
        self.committer.order(CommitOrder::Drop(id, told));
        waits.recv().map_err(|_| TargetError::Stopping)?;
        self.on_worker(machine.worker, move |engine, appliers| {
            if let Some(applier) = appliers.remove(&id) {
                applier.close(engine);
            }
        })?;
        self.machines.write().unwrap_or_else(PoisonError::into_inner).remove(&machine.name);
        remove_machine(&self.volume, id)
            .map_err(|source| TargetError::Replica { name: machine.name.clone(), source })
    }

    /// Runs something on a worker's thread and returns its result.
    pub(crate) fn on_worker<T: Send + 'static>(
        &self,
        worker: usize,
        run: impl FnOnce(
            &mut blockdev::HostEngine,
            &mut BTreeMap<MachineId, crate::replica::Applier<DirVolume>>,
        ) -> T
        + Send
        + 'static,
    ) -> Result<T, TargetError> {
        let (sender, receiver) = mpsc::channel();
        self.workers[worker].order(Box::new(move |engine, appliers| {
            // Whoever asked may be gone.
            let _ = sender.send(run(engine, appliers));
        }));
        receiver.recv().map_err(|_| TargetError::Stopping)
    }
}

/// Counts a connection down when its thread ends, however it ends.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn connect(door: &Door, acceptor: &Acceptor, socket: std::net::TcpStream) {
    let Ok(peer) = socket.peer_addr() else { return };
    match acceptor.accept(socket, &Limits::default()) {
        Ok(link) => serve(door, link, peer),
        Err(error) => tracing::warn!(%peer, error = %crate::replica::chain(&error), "connection refused"),
    }
}

/// Opens a target disk that was assigned before; it must be the same.
fn open_target(disk: &HeadDisk) -> Result<OpenDevice, blockdev::DeviceError> {
    open_disk(disk, Access::Exclusive)
}

/// Opens a target disk, to write it as the only one or to read it beside whoever writes it.
pub(crate) fn open_disk(disk: &HeadDisk, access: Access) -> Result<OpenDevice, blockdev::DeviceError> {
    let path = Path::new(&disk.path);
    let files = if disk.file { FilePolicy::Allow } else { FilePolicy::Refuse };
    let identity = disk.identity.parse().ok();
    open_device(path, &Expect { identity, len_min: disk.device_len, files, access })
}
