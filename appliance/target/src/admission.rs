//! Who may open a session, and with what: everything that is checked before the first welcome.

use std::net::SocketAddr;
use std::sync::Arc;

use retention::{HeadDisk, Lifecycle};
use units::{ByteLen, ByteOffset, Generation, MachineName, Sequence, Timestamp};
use wire::{Hello, Identity, Message, Phase, RefusalCode, Role};

use crate::conversation::Admitted;
use crate::machine::Machine;
use crate::refusal::SessionEnd;
use crate::replica::{Planted, State};

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// What the certificate says.
    pub identity: &'a Identity,
    /// Where from.
    pub address: SocketAddr,
}

/// Checks the first message of a connection, which must be a hello the caller may say, and opens or joins the session of the
/// machine that `find` knows. Errors: why not; nothing has changed then.
pub fn admit(
    message: Message,
    payload_len: usize,
    caller: Caller<'_>,
    find: &dyn Fn(&MachineName) -> Option<Arc<Machine>>,
    now: Timestamp,
) -> Result<Admitted, SessionEnd> {
    wire::check_message(&message, &[], payload_len)?;
    let Message::Hello(hello) = message else {
        return Err(SessionEnd::refused(RefusalCode::Unexpected, "a session begins with a hello"));
    };
    check_identity(caller.identity, &hello)?;
    let unknown = || {
        let detail = format!("machine {} is not known here: `landfall machine add` it first", hello.machine);
        SessionEnd::refused(RefusalCode::UnknownMachine, detail)
    };
    let machine = find(&hello.machine).ok_or_else(unknown)?;
    check_hello(&hello, &machine)?;
    let session = machine.join(&hello, caller.address, now)?;
    tracing::info!(peer = %caller.address, machine = %hello.machine, connection = hello.connection, "session opened");
    Ok(Admitted { machine, session, hello })
}

/// Checks that the certificate speaks for the machine the hello names.
fn check_identity(peer: &Identity, hello: &Hello) -> Result<(), SessionEnd> {
    if peer.role == Role::Source && peer.name == hello.machine {
        return Ok(());
    }
    let detail = format!("the certificate is {peer}, and can't speak for machine {}", hello.machine);
    Err(SessionEnd::refused(RefusalCode::NotAuthorised, detail))
}

/// Checks a hello against the machine it is for. Nothing has changed when it is refused.
fn check_hello(hello: &Hello, machine: &Machine) -> Result<(), SessionEnd> {
    let state = machine.shared.lock();
    if let Some(end) = SessionEnd::of_state(&state) {
        return Err(end);
    }
    let any = hello.generation == Generation(0) || machine.shared.plants(Planted::GenerationUnchecked);
    if !any && hello.generation != state.generation {
        let detail =
            format!("generation {} may not write: the present one is {}", hello.generation, state.generation);
        return Err(SessionEnd::refused(RefusalCode::Fenced, detail));
    }
    if hello.acked > state.durable {
        let detail = format!(
            "the source was acked up to sequence {}, but only {} is here: let it run with --resync",
            hello.acked, state.durable
        );
        return Err(SessionEnd::refused(RefusalCode::LostHistory, detail));
    }
    check_disks(hello, &machine.disks, &state.lens)
}

fn check_disks(hello: &Hello, disks: &[HeadDisk], lens: &[ByteLen]) -> Result<(), SessionEnd> {
    let mismatch = |detail: String| Err(SessionEnd::refused(RefusalCode::DiskMismatch, detail));
    if hello.disks.len() != disks.len() {
        let (found, expected) = (hello.disks.len(), disks.len());
        return mismatch(format!("the machine has {expected} target disks, the source has {found} disks"));
    }
    for (index, (shape, disk)) in hello.disks.iter().zip(disks).enumerate() {
        if shape.len > disk.device_len {
            let (found, room) = (shape.len.0, disk.device_len.0);
            return mismatch(format!(
                "disk {index} has {found} bytes, its target disk {} only {room}",
                disk.path
            ));
        }
        let known = lens.get(index).copied().unwrap_or_default();
        if known != ByteLen::ZERO && known != shape.len {
            let (found, known) = (shape.len.0, known.0);
            return mismatch(format!("disk {index} has {found} bytes, but was protected with {known}"));
        }
    }
    Ok(())
}

/// Returns what the target wants first.
pub(crate) fn phase(state: &State) -> Phase {
    match &state.lifecycle {
        Lifecycle::Registered => Phase::Seeding { through: fill(state.lens.len()), blank: false },
        Lifecycle::Seeding { through, blank } => {
            Phase::Seeding { through: through.iter().copied().collect(), blank: *blank }
        }
        _ => {
            let newest = state.timeline.latest(wire::Consistency::Fuzzy);
            Phase::Protected { last_marker: newest.map_or(Sequence(0), |point| point.sequence) }
        }
    }
}

fn fill(disks: usize) -> heapless::Vec<ByteOffset, { units::DISKS_MAX }> {
    std::iter::repeat_n(ByteOffset(0), disks).collect()
}
