//! `landfall console`: the driver of the console: keys in, cells out, and the work between.
//!
//! What is shown for which key is decided by the `console` crate. Work runs on threads of its own, so that keys and the clock of a trial
//! go on; a look at the appliance is one such piece of work, once a second.

mod look;
mod notes;
mod terminal;
mod way;
mod work;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use console::{Console, Decoder, Effect, Event};
use control::{ApiError, Code, ErrorReply};

use crate::arguments::ConsoleArguments;
use crate::console::look::Looker;
use crate::console::notes::Notes;
use crate::console::terminal::Terminal;
use crate::console::way::NetworkWay;
use crate::console::work::Worker;
use crate::reach::Reach;
use crate::screen::Ending;

/// How long it waits for a key before it looks at everything else.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// How long an escape may take to become a key.
const ESCAPE_WAIT: Duration = Duration::from_millis(200);
/// Between two looks at the appliance.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Serves this terminal until it is closed. Errors: it is no terminal, or the state can't be read.
pub(crate) fn serve(reach: Reach, arguments: ConsoleArguments) -> Result<Ending, ErrorReply> {
    let failed = |error: io::Error| {
        ErrorReply::from(ApiError::new(Code::ConsoleTerminal, "the console can't be shown").because(error))
    };
    let notes = Arc::new(Notes::open(&arguments).map_err(|error| failed(io::Error::other(error)))?);
    let network = Arc::new(NetworkWay::open(&arguments.network));
    let looker = Arc::new(Looker::new(reach.clone(), notes.clone(), network.clone()).map_err(failed)?);
    let worker = Arc::new(Worker::new(reach, notes.clone(), network));
    let mut terminal = Terminal::take().map_err(failed)?;
    converse(&mut terminal, &looker, &worker, &notes).map_err(failed)?;
    Ok(Ending::Done)
}

fn converse(
    terminal: &mut Terminal,
    looker: &Arc<Looker>,
    worker: &Arc<Worker>,
    notes: &Notes,
) -> io::Result<()> {
    let (told, events) = channel();
    let (mut console, effects) = Console::new(looker.look());
    let mut session = Session { worker: worker.clone(), told: told.clone() };
    session.begin(effects, terminal);
    let (mut decoder, mut looked, mut typed) = (Decoder::default(), Instant::now(), Instant::now());
    let mut looking = false;
    loop {
        terminal.show(|buffer| console::draw(&console, buffer))?;
        let (mut keys, mut effects) = (Vec::new(), Vec::new());
        match terminal.read(KEY_WAIT)? {
            None if typed.elapsed() >= ESCAPE_WAIT => decoder.idle(&mut keys),
            None => {}
            Some(bytes) if bytes.is_empty() => return Ok(()),
            Some(bytes) => {
                typed = Instant::now();
                decoder.take(&bytes, &mut keys);
            }
        }
        // First boot is answered where somebody typed first.
        if !keys.is_empty() && console.wizard.is_some() && !notes.claim() {
            keys.clear();
        }
        keys.into_iter().for_each(|key| console.step(Event::Key(key), &mut effects));
        for event in take(&events) {
            looking &= !matches!(event, Event::Glance(_));
            console.step(event, &mut effects);
        }
        if !looking && looked.elapsed() >= LOOK_EVERY {
            (looking, looked) = (true, Instant::now());
            let (looker, told) = (looker.clone(), told.clone());
            // Nobody listens any more once the terminal is closed.
            std::thread::spawn(move || told.send(Event::Glance(Box::new(looker.look()))).ok());
        }
        session.begin(effects, terminal);
    }
}

fn take(events: &Receiver<Event>) -> Vec<Event> {
    events.try_iter().collect()
}

/// Begins pieces of work.
struct Session {
    worker: Arc<Worker>,
    told: Sender<Event>,
}

impl Session {
    fn begin(&mut self, effects: Vec<Effect>, terminal: &mut Terminal) {
        for effect in effects {
            if effect == Effect::Redraw {
                terminal.forget();
                continue;
            }
            let (worker, told) = (self.worker.clone(), self.told.clone());
            std::thread::spawn(move || {
                if let Some(done) = worker.carry_out(effect) {
                    // Nobody listens any more once the terminal is closed.
                    let _ = told.send(Event::Done(done));
                }
            });
        }
    }
}
