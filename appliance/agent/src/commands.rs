//! Commands as they come, wait, are carried out and end. The ledger is made durable at each step, before the next.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use units::Timestamp;
use wire::heartbeat::{Command, CommandId, OutcomeTaken, Verdict, clipped};

use crate::AgentError;
use crate::config::{Done, Executor};
use crate::countdown::{Countdown, LOCK};
use crate::ledger::{Entry, Judgement, Ledger, State};
use crate::ledger_file::LedgerFile;
use crate::opening::now;
use crate::parts::{REPLY_LEN_MAX, Told};
use crate::status::WaitingCommand;
use crate::wake::Wake;

/// The commands of one controller.
pub(crate) struct Commands {
    inner: Mutex<Inner>,
    executor: Arc<dyn Executor>,
    wake: Arc<Wake>,
}

struct Inner {
    file: LedgerFile,
    ledger: Ledger,
    countdown: Countdown,
    /// What is to be told on this connection, and was not yet.
    untold: VecDeque<Told>,
}

impl Commands {
    /// Takes the ledger as it was found; what was begun is interrupted, durably.
    pub(crate) fn new(
        file: LedgerFile,
        mut ledger: Ledger,
        executor: Arc<dyn Executor>,
        wake: Arc<Wake>,
    ) -> Result<Self, AgentError> {
        if ledger.interrupt() {
            file.save(&ledger)?;
        }
        let countdown = Countdown::new(Instant::now());
        let inner = Mutex::new(Inner { file, ledger, countdown, untold: VecDeque::new() });
        Ok(Self { inner, executor, wake })
    }

    /// Returns the highest sequence that was taken.
    pub(crate) fn taken(&self) -> u64 {
        self.lock().ledger.taken
    }

    /// Begins a connection: everything that the controller does not have is to be told.
    pub(crate) fn reconnected(&self) {
        let mut inner = self.lock();
        inner.untold = inner.ledger.entries.iter().filter_map(told).collect();
    }

    /// Returns what is to be told next.
    pub(crate) fn next_told(&self) -> Option<Told> {
        self.lock().untold.pop_front()
    }

    /// Takes a command whose signature and server were checked. `theirs` is the controller's time.
    pub(crate) fn take(self: &Arc<Self>, command: Box<Command>, theirs: Timestamp) -> Result<(), AgentError> {
        let mut inner = self.lock();
        match inner.ledger.judge(&command) {
            Judgement::New => self.take_new(&mut inner, command, theirs),
            Judgement::Known => {
                let entry = inner.ledger.entry_mut(command.statement.id).map(|entry| entry.clone());
                let again = entry.as_ref().and_then(told);
                inner.untold.extend(again);
                Ok(())
            }
            Judgement::Old => {
                inner.refuse(&command, "its sequence was taken before");
                Ok(())
            }
            Judgement::Full => {
                inner.refuse(&command, "64 commands wait or are under way here");
                Ok(())
            }
        }
    }

    /// Answers a command that is not this controller's, or not for this server.
    pub(crate) fn refuse(&self, command: &Command, detail: &str) {
        tracing::warn!(id = %command.statement.id, detail, "command refused");
        self.lock().refuse(command, detail);
    }

    /// 1. The command is durable, 2. it is begun, or waits.
    fn take_new(
        self: &Arc<Self>,
        inner: &mut Inner,
        command: Box<Command>,
        theirs: Timestamp,
    ) -> Result<(), AgentError> {
        let statement = &command.statement;
        let id = statement.id;
        let state = if statement.expires <= theirs {
            State::ended(Verdict::Expired)
        } else if let Some(destroys) = self.executor.destroys(statement) {
            tracing::warn!(%id, by = %statement.by, destroys, "command waits for approval");
            State::Waiting { seconds_left: LOCK.as_secs() }
        } else {
            State::Begun
        };
        inner.ledger.take(command, state);
        inner.file.save(&inner.ledger)?;
        let entry = inner.ledger.entries.last().expect("it was just taken").clone();
        inner.untold.extend(told(&entry));
        if entry.state == State::Begun { self.begin(entry) } else { Ok(()) }
    }

    /// Carries a command out, on a thread of its own; it is durable that it was begun.
    fn begin(self: &Arc<Self>, entry: Entry) -> Result<(), AgentError> {
        let commands = Arc::clone(self);
        let run = move || {
            let statement = &entry.command.statement;
            tracing::info!(id = %statement.id, by = %statement.by, "command begun");
            let outcome = catch_unwind(AssertUnwindSafe(|| commands.executor.execute(statement)));
            let outcome = outcome.unwrap_or_else(|_| Err(br#"{"what":"the command met a bug"}"#.to_vec()));
            commands.end(statement.id, state_of(outcome));
        };
        std::thread::Builder::new().name("command".to_owned()).spawn(run).map_err(AgentError::Thread)?;
        Ok(())
    }

    /// 3. The outcome is durable, 4. it is told.
    fn end(&self, id: CommandId, state: State) {
        let mut inner = self.lock();
        let entry = inner.ledger.entry_mut(id).expect("what was begun is kept until it has ended");
        entry.state = state;
        let told = told(entry);
        if let Err(error) = inner.file.save(&inner.ledger) {
            // It stays `Begun` on disk: after a restart it counts as interrupted, which is true.
            tracing::error!(%id, error = crate::diagnosis::with_sources(&error), "outcome not kept");
        }
        inner.untold.extend(told);
        drop(inner);
        self.wake.wake();
    }

    /// The controller has an outcome.
    pub(crate) fn taken_by_controller(&self, taken: OutcomeTaken) -> Result<(), AgentError> {
        let mut inner = self.lock();
        if taken.ended && inner.ledger.forget(taken.id) {
            inner.file.save(&inner.ledger)?;
        }
        Ok(())
    }

    /// Lets time pass for the commands that wait, and begins those whose time has come.
    pub(crate) fn pass_time(self: &Arc<Self>) -> Result<(), AgentError> {
        let mut inner = self.lock();
        let Inner { ledger, countdown, file, .. } = &mut *inner;
        if !countdown.pass(Instant::now(), ledger) {
            return Ok(());
        }
        let due = ledger.entries.iter_mut().filter(|entry| entry.state == State::Waiting { seconds_left: 0 });
        let due: Vec<Entry> = due.map(begun).collect();
        file.save(ledger)?;
        due.into_iter().try_for_each(|entry| self.begin(entry))
    }

    /// Returns what waits for approval.
    pub(crate) fn waiting(&self) -> Vec<WaitingCommand> {
        let inner = self.lock();
        let waiting = inner.ledger.entries.iter().filter_map(|entry| {
            let State::Waiting { seconds_left } = entry.state else { return None };
            let statement = &entry.command.statement;
            let destroys = self.executor.destroys(statement).unwrap_or_default();
            let (id, by, issued) = (statement.id, statement.by.as_str().to_owned(), statement.issued);
            Some(WaitingCommand { id, by, issued, destroys, seconds_left })
        });
        waiting.collect()
    }

    /// Begins a command that waits; durable on return.
    pub(crate) fn approve(self: &Arc<Self>, id: CommandId) -> Result<(), AgentError> {
        let entry = self.lock().settle(id, State::Begun)?;
        self.begin(entry)
    }

    /// Ends a command that waits, without having begun it; durable on return.
    pub(crate) fn reject(&self, id: CommandId) -> Result<(), AgentError> {
        let mut inner = self.lock();
        let entry = inner.settle(id, State::ended(Verdict::Rejected))?;
        inner.untold.extend(told(&entry));
        drop(inner);
        self.wake.wake();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Commands").finish_non_exhaustive()
    }
}

impl Inner {
    /// Answers a command that is not taken. Nothing of it is kept.
    fn refuse(&mut self, command: &Command, detail: &str) {
        let (sequence, id) = (command.statement.sequence, command.statement.id);
        let verdict = Verdict::Invalid { detail: Box::new(clipped(detail)) };
        self.untold.push_back(Told { sequence, id, verdict, reply: Vec::new() });
    }

    /// Moves a command that waits on, durably.
    fn settle(&mut self, id: CommandId, state: State) -> Result<Entry, AgentError> {
        let entry = self.ledger.entry_mut(id).filter(|entry| matches!(entry.state, State::Waiting { .. }));
        let entry = entry.ok_or(AgentError::NotWaiting(id))?;
        let waited = std::mem::replace(&mut entry.state, state);
        let moved = entry.clone();
        if let Err(error) = self.file.save(&self.ledger) {
            self.ledger.entry_mut(id).expect("it was just there").state = waited;
            return Err(error);
        }
        Ok(moved)
    }
}

fn begun(entry: &mut Entry) -> Entry {
    entry.state = State::Begun;
    entry.clone()
}

fn state_of(outcome: Result<Done, Vec<u8>>) -> State {
    let (verdict, reply) = match outcome {
        Ok(Done { answer, reply }) => (Verdict::Done(answer), reply),
        Err(error) => (Verdict::Failed, error),
    };
    if reply.len() <= REPLY_LEN_MAX {
        return State::Ended { verdict, reply };
    }
    let reply = br#"{"what":"the command was done; its answer is longer than 4 MiB"}"#.to_vec();
    State::Ended { verdict: Verdict::Failed, reply }
}

/// Returns what is to be told of a command, if there is anything yet.
fn told(entry: &Entry) -> Option<Told> {
    let (verdict, reply) = match &entry.state {
        State::Begun => return None,
        State::Waiting { seconds_left } => {
            let until = Timestamp(now().0.saturating_add(seconds_left.saturating_mul(1_000_000)));
            (Verdict::Waiting { until }, Vec::new())
        }
        State::Ended { verdict, reply } => (verdict.clone(), reply.clone()),
    };
    Some(Told { sequence: entry.sequence(), id: entry.id(), verdict, reply })
}
