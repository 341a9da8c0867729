//! The ledger of commands: what was taken, what waits, what was begun, what its end was. Pure.

use serde::{Deserialize, Serialize};
use wire::heartbeat::{Command, CommandId, Verdict};

/// Commands whose end the controller does not have yet.
pub(crate) const ENTRIES_MAX: usize = 64;

const MAGIC: [u8; 8] = *b"LFCMDS\x01\0";
const CONTEXT: &str = "landfall 2026 command ledger";
const CHECKSUM_LEN: usize = 32;

/// What was commanded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// The highest sequence that was taken, over all time.
    pub(crate) taken: u64,
    /// Commands whose end the controller does not have yet, by rising sequence.
    pub(crate) entries: Vec<Entry>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) command: Box<Command>,
    pub(crate) state: State,
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// It would destroy something. Time counts only while the agent runs, so that no clock that jumps ends the wait.
    Waiting { seconds_left: u64 },
    /// It may have had any part of its effect.
    Begun,
    /// The controller does not have its end yet.
    Ended { verdict: Verdict, reply: Vec<u8> },
}

/// What is to be done with a command that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is the next.
    New,
    /// It is here; what became of it is told again.
    Known,
    /// It was done and told long ago, or belongs to another order.
    Old,
    /// There is no room.
    Full,
}

impl Ledger {
    pub(crate) fn judge(&self, command: &Command) -> Judgement {
        let statement = &command.statement;
        if self.entries.iter().any(|entry| entry.id() == statement.id) {
            Judgement::Known
        } else if statement.sequence <= self.taken {
            Judgement::Old
        } else if self.entries.len() >= ENTRIES_MAX {
            Judgement::Full
        } else {
            Judgement::New
        }
    }

    /// Takes a new command in a state.
    pub(crate) fn take(&mut self, command: Box<Command>, state: State) {
        assert!(command.statement.sequence > self.taken, "a new command has a higher sequence");
        self.taken = command.statement.sequence;
        self.entries.push(Entry { command, state });
    }

    pub(crate) fn entry_mut(&mut self, id: CommandId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id() == id)
    }

    /// Ends what was begun before a start: it may have had any part of its effect. Tells whether there was any.
    pub(crate) fn interrupt(&mut self) -> bool {
        let begun = self.entries.iter_mut().filter(|entry| entry.state == State::Begun);
        begun.map(|entry| entry.state = State::ended(Verdict::Interrupted)).count() > 0
    }

    /// Forgets a command whose end the controller has. Tells whether it was here.
    pub(crate) fn forget(&mut self, id: CommandId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.id() != id || !matches!(entry.state, State::Ended { .. }));
        self.entries.len() < before
    }

    /// Returns the bytes of the file: magic, this in postcard, blake3 of both.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = postcard::to_extend(self, MAGIC.to_vec()).expect("every ledger can be written");
        bytes.extend(blake3::derive_key(CONTEXT, &bytes));
        bytes
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let end = bytes.len().checked_sub(CHECKSUM_LEN).ok_or("it is too short")?;
        let (content, checksum) = bytes.split_at(end);
        let body = content.strip_prefix(&MAGIC).ok_or("it does not begin as a ledger of this version")?;
        if blake3::derive_key(CONTEXT, content) != checksum {
            return Err("its checksum is wrong");
        }
        let (ledger, rest) = postcard::take_from_bytes::<Self>(body).map_err(|_| "it is no ledger")?;
        let ascending = ledger.entries.windows(2).all(|pair| pair[0].sequence() < pair[1].sequence());
        let known = ledger.entries.last().is_none_or(|entry| entry.sequence() <= ledger.taken);
        match rest {
            [] if ascending && known && ledger.entries.len() <= ENTRIES_MAX => Ok(ledger),
            [] => Err("its commands are not in order"),
            _ => Err("something follows the ledger"),
        }
    }
}

impl Entry {
    pub(crate) fn id(&self) -> CommandId {
        self.command.statement.id
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.command.statement.sequence
    }
}

impl State {
    pub(crate) fn ended(verdict: Verdict) -> Self {
        Self::Ended { verdict, reply: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
