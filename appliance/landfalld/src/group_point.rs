//! Makes the points of consistency groups: when somebody asks, and as often as they are wanted.
//!
//! The order: 1. the number of the point is given, durable; 2. every member is ordered to hold its writes, and says that it does;
//! 3. every member is ordered to make its point, and says that it is durable; 4. what came of it is noted.
//!
//! landfalld may end at any moment: a member that holds lets go by itself when its time is over, and whether there is a point is told by
//! the members' histories alone.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use control::api::GroupPoint;
use control::heartbeat::Wanted;
use control::{ApiError, Code};
use inventory::{Group, GroupAttempt, GroupEffect, GroupEvent, GroupMaking, Liveness, Order, OrderState};
use units::MachineName;
use wire::heartbeat::{CommandId, Instruction, SourceOrder, Verdict, Wish, clipped};
use wire::{Consistency, Identity, Role};

use crate::answers::now;
use crate::groups::{Groups, describe_point, unusable};
use crate::random::random_bytes;

/// For the points to be durable; a client waits for its answer longer than this.
const TAKE_WAIT: Duration = Duration::from_secs(240);
/// Between two looks whether a point is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What each phase orders.
type Phase = fn(wire::heartbeat::GroupPoint) -> SourceOrder;

/// A group a point of which is being made, until it is dropped.
struct Making<'a> {
    groups: &'a Groups,
    name: &'a MachineName,
}

impl Groups {
    /// Makes a point of a group; durable at every member on return. Errors: it came to nothing, and no writes are held.
    pub(crate) fn make_point(&self, name: &MachineName) -> Result<GroupPoint, ApiError> {
        let _making = self.begin(name)?;
        let (begun, group) = (now(), self.number(name)?);
        let failed = match self.are_heard(&group) {
            Ok(()) => self.two_phases(&group),
            Err(why) => Err(why),
        };
        let point = self.common(&group).into_iter().find(|point| point.number == group.numbered);
        let failed = failed.err().or_else(|| point.is_none().then(|| self.why_not(&group)));
        self.note(
            &group,
            GroupAttempt { number: group.numbered, begun: begun.into(), failed: failed.clone() },
        )?;
        match (failed, point) {
            (None, Some(point)) => Ok(describe_point(&point)),
            (why, _) => {
                let why = why.unwrap_or_default();
                tracing::warn!(group = %name, number = group.numbered, why, "group point came to nothing");
                let what = format!("group {name} has no point {}", group.numbered);
                Err(ApiError::new(Code::GroupPointFailed, what).because(why))
            }
        }
    }

    fn begin<'a>(&'a self, name: &'a MachineName) -> Result<Making<'a>, ApiError> {
        self.find(name)?;
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if !making.insert(name.clone()) {
            return Err(ApiError::new(Code::GroupBusy, format!("a point of group {name} was not begun")));
        }
        Ok(Making { groups: self, name })
    }

    /// Gives the next number; durable on return.
    fn number(&self, name: &MachineName) -> Result<Group, ApiError> {
        let group = self.find(name)?.record;
        let seen = self.marked(&group).into_values().flatten().map(|point| point.number).max().unwrap_or(0);
        let numbered = self.table.update(name.as_str(), |group| {
            Ok::<_, catalog::CatalogError>(group.cloned().map(|group| group.numbering(seen)))
        });
        let unknown = || ApiError::new(Code::GroupUnknown, format!("group {name} is not known"));
        numbered.map_err(|error| unusable(&error))?.ok_or_else(unknown)
    }

    fn note(&self, group: &Group, attempt: GroupAttempt) -> Result<(), ApiError> {
        let noted = self.table.update(group.name.as_str(), |group| {
            let noted = group.cloned().map(|group| Group { last: Some(attempt.clone()), ..group });
            Ok::<_, catalog::CatalogError>(noted)
        });
        noted.map(drop).map_err(|error| unusable(&error))
    }

    /// Says why a point that every member has made is none of the group's.
    fn why_not(&self, group: &Group) -> String {
        let marked = self.marked(group);
        let exact = |consistency| matches!(consistency, Consistency::Crash | Consistency::Application);
        let lacks = |member: &&MachineName| {
            let found = marked[*member].iter().find(|point| point.number == group.numbered);
            found.is_none_or(|point| !exact(point.consistency))
        };
        match group.machines.iter().find(lacks) {
            Some(member) => format!(
                "the disks of {member} were written while they were read; a hook that holds the writes makes its points exact"
            ),
            None => "a member left the group meanwhile".to_owned(),
        }
    }

    /// Refuses to hold anybody's writes while a member can't be told to.
    fn are_heard(&self, group: &Group) -> Result<(), String> {
        for member in &group.machines {
            let view = self.heard.show(&source(member));
            match view.map(|view| (view.connected, view.liveness)) {
                Some((true, Liveness::Alive | Liveness::Suspect)) => {}
                Some((_, Liveness::Lost(finding))) => {
                    return Err(format!("the source of {member} is lost: {}", finding.detail));
                }
                _ => return Err(format!("the source of {member} does not report to this server")),
            }
        }
        Ok(())
    }

    /// Carries both phases out. Errors: why there is no point; nobody holds any more.
    fn two_phases(&self, group: &Group) -> Result<(), String> {
        let bound = Duration::from_millis(group.hold_ms.into());
        let (sender, events) = channel();
        let (mut making, mut effects) = (GroupMaking::new(&group.machines), vec![GroupEffect::HoldAll]);
        // Half of the bound is for everybody to hold, the other half for the last one to be reached by the second order.
        let mut deadline = Instant::now() + bound / 2;
        std::thread::scope(|scope| {
            loop {
                for effect in std::mem::take(&mut effects) {
                    let (phase, within): (Phase, _) = match effect {
                        GroupEffect::HoldAll => (SourceOrder::Hold, bound / 2),
                        GroupEffect::TakeAll => {
                            deadline = Instant::now() + TAKE_WAIT;
                            (SourceOrder::Take, TAKE_WAIT)
                        }
                        GroupEffect::ReleaseAll => {
                            self.release_all(group);
                            continue;
                        }
                        GroupEffect::End(result) => return result,
                    };
                    for member in &group.machines {
                        let sender: Sender<GroupEvent> = sender.clone();
                        scope.spawn(move || {
                            let event = self.order(group, member, phase, within);
                            // Nobody listens any more when the attempt is over.
                            drop(sender.send(event));
                        });
                    }
                }
                let event = match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => GroupEvent::Late,
                };
                making.step(event, &mut effects);
            }
        })
    }

    /// Gives one order to one member, and waits for what comes of it.
    fn order(&self, group: &Group, member: &MachineName, phase: Phase, within: Duration) -> GroupEvent {
        let failed = |why: String| GroupEvent::Failed(member.clone(), why);
        let wanted = match self.wanted(group, phase, within.min(Duration::from_millis(group.hold_ms.into())))
        {
            Ok(wanted) => wanted,
            Err(why) => return failed(why),
        };
        match self.orders.give(&source(member), wanted) {
            Ok(mut ticket) => match outcome(ticket.wait(within)) {
                Ok(()) => GroupEvent::Done(member.clone()),
                Err(why) => failed(why),
            },
            Err(error) => failed(error.to_string()),
        }
    }

    /// Tells every member to let its writes go; nobody is waited for, since each does so by itself.
    fn release_all(&self, group: &Group) {
        for member in &group.machines {
            let given = self
                .wanted(group, SourceOrder::Release, Duration::from_millis(group.hold_ms.into()))
                .and_then(|wanted| {
                    self.orders.give(&source(member), wanted).map_err(|error| error.to_string())
                });
            if let Err(why) = given {
                tracing::warn!(machine = %member, why, "member not told to let its writes go; it does so by itself");
            }
        }
    }

    fn wanted(&self, group: &Group, phase: Phase, expires_after: Duration) -> Result<Wanted, String> {
        let id = random_bytes().map_err(|error| format!("no random bytes can be had: {error}"))?;
        let point = wire::heartbeat::GroupPoint {
            group: clipped(group.name.as_str()),
            number: group.numbered,
            wish: Wish::Application,
            deadline_ms: group.hold_ms,
        };
        let (instruction, by) = (Instruction::Source(phase(point)), format!("group {}", group.name));
        Ok(Wanted { id: CommandId(id), by, instruction, expires_after })
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.groups.making.lock().unwrap_or_else(PoisonError::into_inner).remove(self.name);
    }
}

fn source(machine: &MachineName) -> Identity {
    Identity { role: Role::Source, name: machine.clone() }
}

/// Says what came of an order. Errors: why it was not carried out.
pub(crate) fn outcome(order: &Order) -> Result<(), String> {
    let OrderState::Ended { verdict, reply } = &order.state else {
        return Err("it has not answered in time".to_owned());
    };
    match &**verdict {
        Verdict::Done(_) => Ok(()),
        Verdict::Failed => Err(serde_json::from_str::<control::ErrorReply>(reply)
            .map_or_else(|_| "it says that it failed".to_owned(), |error| error.cause)),
        Verdict::Expired => Err("the order reached it too late".to_owned()),
        Verdict::Interrupted => Err("it ended in the middle".to_owned()),
        Verdict::Rejected => Err("it was rejected there".to_owned()),
        Verdict::Waiting { .. } => Err("it waits for somebody there".to_owned()),
        Verdict::Invalid { detail } => Err(detail.as_str().to_owned()),
    }
}

/// Makes points as often as they are wanted, until nobody needs the groups any more. Errors: the system starts no thread.
pub(crate) fn make_when_due(groups: &Arc<Groups>) -> std::io::Result<()> {
    let groups = Arc::downgrade(groups);
    let work = move || {
        while look(&groups).is_some() {
            std::thread::sleep(LOOK_EVERY);
        }
    };
    std::thread::Builder::new().name("group-points".to_owned()).spawn(work).map(drop)
}

/// Begins the points that are due. `None` when nobody needs the groups any more.
fn look(groups: &Weak<Groups>) -> Option<()> {
    let groups = groups.upgrade()?;
    let rows = match groups.table.list() {
        Ok(rows) => rows.rows,
        Err(error) => {
            tracing::warn!(%error, "groups can't be listed");
            return Some(());
        }
    };
    for group in rows.into_iter().map(|row| row.record) {
        let busy = groups.making.lock().unwrap_or_else(PoisonError::into_inner).contains(&group.name);
        let due = groups.interval(&group).is_some_and(|every| group.is_due(every, now()));
        if busy || !due {
            continue;
        }
        let groups = groups.clone();
        // What came of it is noted with the group.
        let work = move || drop(groups.make_point(&group.name));
        if let Err(error) = std::thread::Builder::new().name("group-point".to_owned()).spawn(work) {
            tracing::warn!(%error, "no thread for a group point");
        }
    }
    Some(())
}
