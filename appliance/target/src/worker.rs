//! The threads that drive replicas: one that commits for all machines, and workers that apply.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use blockdev::{DirVolume, EngineChoice, EngineError, HostEngine, PagePool, open_engine};
use units::MachineId;

use crate::clock::{now, steady};
use crate::replica::{Appender, Applier, Bell, FailureKind, ReplicaError, Step, chain, commit_all};

/// Operations one engine keeps in flight.
const QUEUE_DEPTH: usize = 64;
/// How long an idle thread sleeps if nobody wakes it.
const NAP: Duration = Duration::from_millis(200);
/// The same while something is gathered.
const SHORT_NAP: Duration = Duration::from_millis(10);

/// Which engine, and how long it waits for a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineSetting {
    pub(crate) choice: EngineChoice,
    pub(crate) deadline: Duration,
}

impl EngineSetting {
    /// Makes an engine for at most `depth` operations in flight.
    pub(crate) fn open(self, depth: usize) -> Result<HostEngine, EngineError> {
        let mut engine = open_engine(depth, self.choice)?;
        engine.set_deadline(self.deadline);
        Ok(engine)
    }
}

/// A thread, and how to reach it.
pub(crate) struct Thread<Order> {
    orders: mpsc::Sender<Order>,
    pub(crate) bell: Bell,
    stopping: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

/// What the committing thread is told.
pub(crate) enum CommitOrder {
    /// Commit for this machine from now on.
    Adopt(MachineId, Box<Appender>),
    /// Do so no longer; then tell.
    Drop(MachineId, mpsc::Sender<()>),
}

/// Does something with a worker's engine and machines, on its thread.
pub(crate) type WorkOrder =
    Box<dyn FnOnce(&mut HostEngine, &mut BTreeMap<MachineId, Applier<DirVolume>>) + Send>;

impl<Order: Send + 'static> Thread<Order> {
    /// Sends an order and wakes the thread. The thread lives as long as its server.
    pub(crate) fn order(&self, order: Order) {
        // A thread that ended has reported why; its machines are out.
        if self.orders.send(order).is_err() {
            tracing::error!("a thread of this server has ended");
        }
        self.bell.ring();
    }

    fn start(
        name: &str,
        run: impl FnOnce(mpsc::Receiver<Order>, Bell, Arc<AtomicBool>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let ((orders, received), bell, stopping) =
            (mpsc::channel(), Bell::default(), Arc::new(AtomicBool::new(false)));
        let (its_bell, its_stopping) = (bell.clone(), stopping.clone());
        let run = move || run(received, its_bell, its_stopping);
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { orders, bell, stopping, handle: Some(handle) })
    }
}

impl<Order> Drop for Thread<Order> {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.bell.ring();
        if let Some(handle) = self.handle.take() {
            // A panic of the thread was reported when it happened.
            let _ = handle.join();
        }
    }
}

/// Makes an engine for the thread that calls; it never leaves that thread.
fn engine_for(setting: EngineSetting, pool: &PagePool) -> Result<HostEngine, EngineError> {
    let mut engine = setting.open(QUEUE_DEPTH)?;
    engine.register_pool(pool);
    Ok(engine)
}

/// Starts the thread that commits.
pub(crate) fn start_committer(
    setting: EngineSetting,
    pool: PagePool,
    volume: DirVolume,
) -> std::io::Result<Thread<CommitOrder>> {
    Thread::start("commit", move |orders: mpsc::Receiver<CommitOrder>, bell, stopping| {
        let mut engine = match engine_for(setting, &pool) {
            Ok(engine) => engine,
            Err(error) => return tracing::error!(error = %chain(&error), "no engine to commit with"),
        };
        let mut appenders: BTreeMap<MachineId, Box<Appender>> = BTreeMap::new();
        let mut turn = 0;
        while !stopping.load(Ordering::Relaxed) {
            for order in orders.try_iter() {
                match order {
                    CommitOrder::Adopt(machine, appender) => drop(appenders.insert(machine, appender)),
                    CommitOrder::Drop(machine, told) => {
                        if let Some(mut appender) = appenders.remove(&machine) {
                            appender.close(&mut engine);
                        }
                        // Whoever asked may be gone.
                        let _ = told.send(());
                    }
                }
            }
            let mut all: Vec<&mut Appender> = appenders.values_mut().map(Box::as_mut).collect();
            turn = (turn + 1) % all.len().max(1);
            all.rotate_left(turn);
            let run = AssertUnwindSafe(|| commit_all(&mut engine, &pool, &volume, &mut all, now()));
            match catch_unwind(run).unwrap_or(Err(ReplicaError::Panicked)) {
                Ok(true) => {}
                Ok(false) => bell.wait(NAP),
                Err(error) => {
                    all.iter().for_each(|appender| appender.shared().fail(&error));
                    return tracing::error!(error = %chain(&error), "the committing engine failed");
                }
            }
        }
    })
}

/// Starts a worker.
pub(crate) fn start_worker(setting: EngineSetting, pool: PagePool) -> std::io::Result<Thread<WorkOrder>> {
    Thread::start("apply", move |orders: mpsc::Receiver<WorkOrder>, bell, stopping| {
        let mut engine = match engine_for(setting, &pool) {
            Ok(engine) => engine,
            Err(error) => return tracing::error!(error = %chain(&error), "no engine to apply with"),
        };
        let mut appliers = BTreeMap::new();
        while !stopping.load(Ordering::Relaxed) {
            for order in orders.try_iter() {
                // Whoever asked is told nothing then, and knows; the other machines go on.
                if catch_unwind(AssertUnwindSafe(|| order(&mut engine, &mut appliers))).is_err() {
                    tracing::error!("a mistake of landfalld's own ended what was asked of one machine");
                }
            }
            // One step for each machine in turn: none waits for more than one step of each other.
            let steps: Vec<Step> = appliers.values_mut().map(|applier| step(applier, &mut engine)).collect();
            if !steps.contains(&Step::Worked) {
                bell.wait(if steps.contains(&Step::Gathering) { SHORT_NAP } else { NAP });
            }
        }
    })
}

/// Does a step for one machine; what goes wrong concerns that machine only.
fn step(applier: &mut Applier<DirVolume>, engine: &mut HostEngine) -> Step {
    let shared = applier.shared().clone();
    match catch_unwind(AssertUnwindSafe(|| applier.step(engine, steady()))) {
        Ok(Ok(step)) => step,
        Ok(Err(ReplicaError::Full { what })) => {
            // Nothing was lost: the step is tried again once there is room.
            if shared.lock().full.replace(what.clone()).is_none() {
                tracing::warn!(what, "retention volume is full");
            }
            Step::Idle
        }
        Ok(Err(error)) if error.kind() == FailureKind::Refused => Step::Worked,
        Ok(Err(error)) => {
            shared.fail(&error);
            Step::Idle
        }
        Err(_) => {
            shared.fail(&ReplicaError::Panicked);
            Step::Idle
        }
    }
}
