//! The target's end of every connection: admission and conversations are the product's own, this brings them frames.

use std::net::SocketAddr;
use std::sync::Arc;

use target::replica::ResidentBudget;
use target::{Caller, Conversation, Machine, Outgoing, SessionEnd, admit};
use units::Timestamp;
use wire::{Message, RefusalCode};

use super::Fleet;
use super::line::{Arrived, End, Line, PING_AFTER, SILENCE};
use crate::sim::judge;
use crate::sim::seen::Sight;

impl Fleet {
    /// Makes the machines of the target anew, as a process does when it starts.
    pub(crate) fn open_house(&mut self) {
        self.machines = (0..self.rig.shared.len()).map(|machine| self.machine(machine)).collect();
    }

    pub(crate) fn machine(&self, machine: usize) -> Arc<Machine> {
        let apply = self.rig.apply.borrow();
        let applier = apply.appliers[machine].as_ref().expect("every machine was recovered");
        Arc::new(Machine::new(applier.head(), self.rig.shared[machine].clone(), 0))
    }

    /// One turn of one connection: what is to be told, then what came.
    pub(crate) fn target_turn(&mut self) {
        let Some((id, line)) = self.network.pick(&mut self.random) else { return };
        if let End::Talking(conversation) = &mut line.end {
            let ended = conversation.look(self.clock.instant()).err();
            let told: Vec<Outgoing> = std::iter::from_fn(|| conversation.next_outgoing()).collect();
            let is_ready = conversation.is_ready();
            told.into_iter().for_each(|outgoing| self.tell(id, outgoing));
            if let Some(end) = ended {
                return self.end(id, &end);
            }
            if !is_ready {
                self.rig.sights.add(Sight::ConversationHeldBack);
                return;
            }
        }
        self.receive(id);
    }

    fn receive(&mut self, id: u64) {
        let elapsed = self.clock.elapsed;
        let line = self.network.line(id);
        if matches!(line.end, End::Over) {
            return;
        }
        let (message, mut payload) = match line.home.take(elapsed) {
            Arrived::Frame(message, payload) => (message, payload),
            Arrived::Ended => return self.end(id, &SessionEnd::Goodbye),
            Arrived::Nothing => {
                let silent = elapsed.saturating_sub(line.home.heard_at) > SILENCE;
                if silent {
                    self.rig.sights.add(Sight::TargetGaveUpSilence);
                    let detail = "nothing was heard".to_owned();
                    self.end(id, &SessionEnd::Refused { code: RefusalCode::Silent, detail });
                } else if elapsed.saturating_sub(line.away.put_at) > PING_AFTER {
                    line.away.put(&Message::Ping, &[], elapsed);
                }
                return;
            }
        };
        let now = Timestamp(self.clock.wall);
        let len = payload.len() as u64;
        let taken = match &mut line.end {
            End::Fresh => self.admit(id, message, payload.len()),
            End::Talking(conversation) => conversation.take(message, &mut payload, now),
            End::Over => Ok(()),
        };
        let line = self.network.line(id);
        match taken {
            Ok(()) => {
                line.taken += len;
                judge::i8_bounded(line.taken, line.credited);
            }
            Err(end) => {
                if matches!(end, SessionEnd::Refused { code: RefusalCode::OverCredit, .. }) {
                    self.rig.sights.add(Sight::RefusedOverCredit);
                }
                self.end(id, &end);
            }
        }
    }

    fn admit(&mut self, id: u64, message: Message, len: usize) -> Result<(), SessionEnd> {
        let line = self.network.line(id);
        let identity = self.sources[line.machine].identity.clone();
        let address = SocketAddr::from(([192, 0, 2, 1], 1000));
        let machines = &self.machines;
        let find = |name: &units::MachineName| machines.iter().find(|machine| machine.name == *name).cloned();
        let now = Timestamp(self.clock.wall);
        let admitted = admit(message, len, Caller { identity: &identity, address }, &find, now)?;
        judge::i11_fencing(line.is_fenced);
        let budget = ResidentBudget::new(self.rig.shape.resident);
        let conversation = Conversation::new(admitted, self.window, budget, Arc::new(|| ()));
        line.end = End::Talking(conversation);
        line.credited = self.window;
        Ok(())
    }

    /// Sends a message to the source, after it was compared with what is true.
    fn tell(&mut self, id: u64, (message, payload): Outgoing) {
        let elapsed = self.clock.elapsed;
        let line = self.network.line(id);
        let state = self.rig.shared[line.machine].lock();
        let oracle = &mut self.rig.oracles[line.machine];
        match &message {
            Message::Durable(durable) => {
                judge::i1_ack(line.machine, durable.upto, &state, oracle);
            }
            Message::Welcome(welcome) => {
                judge::i1_ack(line.machine, welcome.durable, &state, oracle);
                judge::i7_nothing_on_its_way(welcome.durable, &state);
            }
            Message::Credit(credit) => line.credited = line.credited.max(credit.upto),
            _ => {}
        }
        drop(state);
        line.away.put(&message, &payload, elapsed);
    }

    /// Ends a connection at the target; a refusal is told.
    fn end(&mut self, id: u64, end: &SessionEnd) {
        let elapsed = self.clock.elapsed;
        let line = self.network.line(id);
        if let SessionEnd::Refused { code, detail } = end {
            line.away.put(&SessionEnd::message(*code, detail), &[], elapsed);
        }
        close(line);
    }

    /// The target's process ends: every connection is lost with it.
    pub(crate) fn close_house(&mut self) {
        let random = &mut self.random;
        self.network.all().for_each(|line| {
            line.cut(random);
            line.end = End::Over;
        });
    }
}

fn close(line: &mut Line) {
    line.away.close();
    line.end = End::Over;
}
