//! `landfall wait`

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use control::api::{Machine, MachineList, MachineShow, Phase};
use control::{ApiError, Client, Code, ErrorReply};
use units::MachineName;

use super::{Context, machine};
use crate::arguments::{Until, WaitArguments};
use crate::paint::Paint;
use crate::screen::Ending;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until machines are as wanted.
pub(super) fn wait(context: &Context<'_>, wanted: &WaitArguments) -> Result<Ending, ErrorReply> {
    let (begun, mut client) = (Instant::now(), context.connect()?);
    let mut line = StateLine::default();
    loop {
        let machines = look(&mut client, wanted.machine.as_ref())?;
        let missing: Vec<_> = machines.iter().filter(|machine| !is(machine, wanted.until)).collect();
        let over = wanted.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        let hopeless = missing.iter().find(|machine| matches!(machine.phase, Phase::Damaged | Phase::Failed));
        if missing.is_empty() || over || hopeless.is_some() {
            line.clear();
            show(context, &machines)?;
            return match hopeless {
                _ if missing.is_empty() => Ok(Ending::Done),
                Some(machine) => Err(out(machine)),
                None => Ok(Ending::StillRunning),
            };
        }
        line.put(&format!("waiting for {}", names(&missing)));
        std::thread::sleep(PAUSE);
    }
}

fn look(client: &mut Client, machine: Option<&MachineName>) -> Result<Vec<Machine>, ErrorReply> {
    match machine {
        Some(name) => Ok(vec![client.ask(MachineShow { name: name.clone() })?]),
        None => Ok(client.ask(MachineList {})?.machines),
    }
}

fn is(machine: &Machine, wanted: Until) -> bool {
    let threshold = u64::from(machine.keeping.policy.rpo_seconds);
    match wanted {
        Until::Connected => machine.session.connected,
        Until::Protected => machine.phase == Phase::Protected,
        Until::Well => {
            machine.phase == Phase::Protected
                && machine.session.connected
                && machine.rpo_seconds.is_some_and(|age| age <= threshold)
        }
        Until::Idle => machine.job.is_none(),
        Until::Rewound => machine.phase == Phase::Rewound,
        Until::Committed => machine.phase == Phase::Committed,
    }
}

fn out(machine: &Machine) -> ErrorReply {
    let word = machine::phase_text(machine);
    let error = ApiError::new(
        Code::WaitHopeless,
        format!("machine {} is {word}: there is nothing to wait for", machine.name),
    );
    machine.problem.iter().fold(error, |error, problem| error.because(problem)).into()
}

fn show(context: &Context<'_>, machines: &[Machine]) -> Result<(), ErrorReply> {
    if context.screen.is_json() {
        return machines.iter().try_for_each(|machine| context.screen.json(machine));
    }
    let paint: Paint = context.screen.paint();
    context.screen.text(&machine::table(machines).render(paint))
}

fn names(machines: &[&Machine]) -> String {
    match machines {
        [machine] => format!("{} ({})", machine.name, machine::phase_text(machine)),
        [first, others @ ..] => format!("{} and {} more", first.name, others.len()),
        [] => String::new(),
    }
}

/// One line at a terminal that is written over.
#[derive(Default)]
struct StateLine {
    drawn: bool,
}

impl StateLine {
    /// A line that can't be drawn is no reason to stop.
    fn put(&mut self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        if stderr.is_terminal() {
            self.drawn = true;
            let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
        }
    }

    fn clear(&mut self) {
        if self.drawn {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
