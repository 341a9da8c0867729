//! The agent, running: connects, holds the session, connects again.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use link::Credentials;
use wire::heartbeat::{CommandId, Hello, VERSIONS, clipped};

use crate::clock::ControllerClock;
use crate::commands::Commands;
use crate::ledger_file::LedgerFile;
use crate::opening::{Opened, now, open};
use crate::session::Session;
use crate::status::{Board, Connection};
use crate::wake::Wake;
use crate::{AgentConfig, AgentError, AgentStatus, Diagnosis, Executor, Reporter, WaitingCommand};

/// Between two attempts, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// An agent that runs. Dropping it tells it to end and does not wait.
#[derive(Debug)]
pub struct HeartbeatAgent {
    wake: Arc<Wake>,
    board: Arc<Board>,
    commands: Arc<Commands>,
    thread: Option<JoinHandle<()>>,
}

/// What the agent's thread works with.
struct Runner {
    config: AgentConfig,
    reporter: Arc<dyn Reporter>,
    commands: Arc<Commands>,
    wake: Arc<Wake>,
    board: Arc<Board>,
    clock: ControllerClock,
    instance: [u8; 16],
    started: Instant,
}

impl HeartbeatAgent {
    /// Starts an agent. It connects by itself, now and whenever the connection is lost.
    ///
    /// # Errors
    /// The state directory or our own certificate can't be used; nothing was started.
    pub fn start(
        config: AgentConfig,
        reporter: Arc<dyn Reporter>,
        executor: Arc<dyn Executor>,
    ) -> Result<Self, AgentError> {
        Credentials::read(&config.identity)?;
        let (file, ledger) = LedgerFile::open(&config.state)?;
        let wake = Arc::new(Wake::default());
        let commands = Arc::new(Commands::new(file, ledger, executor, Arc::clone(&wake))?);
        let board = Arc::new(Board::new(config.controller.clone()));
        let mut runner = Runner {
            config,
            reporter,
            commands: Arc::clone(&commands),
            wake: Arc::clone(&wake),
            board: Arc::clone(&board),
            clock: ControllerClock::unknown(),
            instance: random(),
            started: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || runner.run());
        let thread = Some(thread.map_err(AgentError::Thread)?);
        Ok(Self { wake, board, commands, thread })
    }

    /// Returns how it is.
    pub fn status(&self) -> AgentStatus {
        self.board.status()
    }

    /// Returns the commands that wait for somebody at this server.
    pub fn waiting(&self) -> Vec<WaitingCommand> {
        self.commands.waiting()
    }

    /// Lets a command that waits be done now; durable on return.
    ///
    /// # Errors
    /// [`AgentError::NotWaiting`], or it can't be kept: it waits on.
    pub fn approve(&self, id: CommandId) -> Result<(), AgentError> {
        self.commands.approve(id)
    }

    /// Ends a command that waits, undone; durable on return.
    ///
    /// # Errors
    /// As [`HeartbeatAgent::approve`].
    pub fn reject(&self, id: CommandId) -> Result<(), AgentError> {
        self.commands.reject(id)
    }

    /// Says goodbye and waits for the agent to end. Commands that are under way go on.
    pub fn stop(mut self) {
        self.wake.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the agent's thread was printed where it happened.
            drop(thread.join());
        }
    }
}

impl Drop for HeartbeatAgent {
    fn drop(&mut self) {
        self.wake.stop();
    }
}

impl Runner {
    fn run(&mut self) {
        let mut pause = PAUSE_MIN;
        while !self.wake.is_stopping() {
            let opened =
                open(&self.config.controller, &self.config.identity, |time| self.hello(time), &self.clock);
            let why = match opened {
                Ok(opened) => {
                    pause = PAUSE_MIN;
                    self.hold(opened)
                }
                Err(why) => Some(why),
            };
            let Some(why) = why else { return };
            self.note(why);
            self.commands.pass_time().unwrap_or_else(|error| {
                tracing::error!(error = crate::diagnosis::with_sources(&error), "waiting commands not kept");
            });
            self.wake.pause(pause + self.share_of(pause));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Up to a quarter of the pause, another for each process: a thousand agents don't come back at once.
    fn share_of(&self, pause: Duration) -> Duration {
        pause / 4 * u32::from(self.instance[0]) / 255
    }

    /// Holds a session that was opened, until it ends.
    fn hold(&mut self, opened: Opened) -> Option<Diagnosis> {
        let Opened { link, welcome, credentials, sent, heard } = opened;
        self.clock.learn(welcome.time, sent, heard);
        let outage = self.board.outage(now());
        let name = link.peer().name.clone();
        tracing::info!(controller = %name, version = welcome.version, "controller reached");
        self.board.set(Connection::Connected {
            since: now(),
            name,
            software: welcome.software.as_str().to_owned(),
            version: welcome.version,
            clock: self.clock.reading(),
        });
        self.wake.attach(Some(link.waker()));
        let wake = Arc::clone(&self.wake);
        let session = Session {
            link,
            name: credentials.identity().name.clone(),
            period: Duration::from_millis(welcome.period_ms.into()),
            started: self.started,
            outage,
            reporter: &*self.reporter,
            commands: &self.commands,
            clock: &mut self.clock,
            board: &self.board,
            is_stopping: &|| wake.is_stopping(),
        };
        let why = session.run();
        self.wake.attach(None);
        why
    }

    /// Warns once for each cause of an outage.
    fn note(&self, why: Diagnosis) {
        let known = match self.board.status().connection {
            Connection::Unreachable { why: before, .. } => before.cause == why.cause,
            _ => false,
        };
        if !known {
            let controller = &self.config.controller;
            tracing::warn!(controller, cause = %why.cause, detail = why.detail, "controller not reached");
        }
        self.board.fail(why, now());
    }

    fn hello(&self, time: units::Timestamp) -> Hello {
        Hello {
            versions: VERSIONS,
            instance: self.instance,
            time,
            taken: self.commands.taken(),
            software: clipped(&self.config.software),
        }
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}
