//! The points of a consistency group: how one is made, and which there are.
//!
//! Two phases: every member holds its writes; once all do, every member makes its point. Between the last hold and the first
//! take lies the moment the point stands for: at it nobody wrote. If anything fails before that, all let go.
//!
//! *Invariants:* no member is told to take before every member holds; a member that was told to hold is told to take or to let go; a
//! group point is one that every member has. A member lets go by itself when its time is over, whatever it hears or does not hear.

use std::collections::{BTreeMap, BTreeSet};

use units::{MachineName, Sequence, Timestamp};
use wire::Consistency;

/// A group point being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMaking {
    /// Who has not answered yet in this phase.
    awaited: BTreeSet<MachineName>,
    members: Vec<MachineName>,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Holding,
    Taking { failed: BTreeMap<MachineName, String> },
    Over,
}

/// Something that concerns a group point being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A member did what it was told.
    Done(MachineName),
    /// A member did not; why.
    Failed(MachineName, String),
    /// The time of the phase is over.
    Late,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEffect {
    /// Tell every member to hold its writes.
    HoldAll,
    /// Tell every member to make its point.
    TakeAll,
    /// Tell every member to let its writes go.
    ReleaseAll,
    /// It is over: every member made its point, or the first reason why there is none.
    End(Result<(), String>),
}

impl GroupMaking {
    /// Begins, for these members; the first effect is [`GroupEffect::HoldAll`].
    pub fn new(members: &[MachineName]) -> Self {
        assert!(!members.is_empty(), "a group has a member");
        let awaited = members.iter().cloned().collect();
        Self { awaited, members: members.to_vec(), phase: Phase::Holding }
    }

    /// Takes something that happened, and appends what is to be done.
    pub fn step(&mut self, event: GroupEvent, effects: &mut Vec<GroupEffect>) {
        match (&mut self.phase, event) {
            (Phase::Over, _) => {}
            (Phase::Holding, GroupEvent::Done(member)) => {
                self.awaited.remove(&member);
                if self.awaited.is_empty() {
                    self.awaited = self.members.iter().cloned().collect();
                    self.phase = Phase::Taking { failed: BTreeMap::new() };
                    effects.push(GroupEffect::TakeAll);
                }
            }
            (Phase::Holding, GroupEvent::Failed(member, why)) => {
                self.give_up(format!("{member} did not hold its writes: {why}"), effects);
            }
            (Phase::Holding, GroupEvent::Late) => {
                let why = format!("{} did not hold its writes in time", names(&self.awaited));
                self.give_up(why, effects);
            }
            // A member that did its part has let go by that; those that did not go on need nobody to wait for them.
            (Phase::Taking { failed }, GroupEvent::Failed(member, why)) => {
                self.awaited.remove(&member);
                failed.insert(member, why);
                self.end_if_all_answered(effects);
            }
            (Phase::Taking { .. }, GroupEvent::Done(member)) => {
                self.awaited.remove(&member);
                self.end_if_all_answered(effects);
            }
            (Phase::Taking { .. }, GroupEvent::Late) => {
                let why = format!("the point of {} is not durable yet", names(&self.awaited));
                self.give_up(why, effects);
            }
        }
    }

    fn end_if_all_answered(&mut self, effects: &mut Vec<GroupEffect>) {
        let Phase::Taking { failed } = &self.phase else { return };
        if !self.awaited.is_empty() {
            return;
        }
        match failed.first_key_value() {
            None => {
                self.phase = Phase::Over;
                effects.push(GroupEffect::End(Ok(())));
            }
            Some((member, why)) => {
                let why = format!("{member} made no point: {why}");
                self.give_up(why, effects);
            }
        }
    }

    fn give_up(&mut self, why: String, effects: &mut Vec<GroupEffect>) {
        self.phase = Phase::Over;
        effects.extend([GroupEffect::ReleaseAll, GroupEffect::End(Err(why))]);
    }
}

fn names(members: &BTreeSet<MachineName>) -> String {
    members.iter().map(MachineName::as_str).collect::<Vec<_>>().join(", ")
}

/// A point with the mark of a group, in the history of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedPoint {
    /// Which point of the group.
    pub number: u64,
    /// Its place in the machine's stream.
    pub sequence: Sequence,
    /// The moment it stands for, by the source's clock.
    pub time: Timestamp,
    /// How far it can be trusted.
    pub consistency: Consistency,
}

/// A point that every member of a group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonPoint {
    /// Its number.
    pub number: u64,
    /// Each member's own, by machine.
    pub members: BTreeMap<MachineName, MarkedPoint>,
}

impl CommonPoint {
    /// Returns the time of the point: nothing in it is later, by the sources' clocks.
    pub fn time(&self) -> Timestamp {
        self.members.values().map(|point| point.time).max().unwrap_or_default()
    }
}

/// Returns the points that every member has and that can be trusted at every member, by number.
pub fn common_points(marked: &BTreeMap<MachineName, Vec<MarkedPoint>>) -> Vec<CommonPoint> {
    let mut by_number = BTreeMap::<u64, BTreeMap<MachineName, MarkedPoint>>::new();
    for (machine, points) in marked {
        for point in points.iter().filter(|point| is_exact(point.consistency)) {
            by_number.entry(point.number).or_default().insert(machine.clone(), point.clone());
        }
    }
    let common = |(number, members): (u64, BTreeMap<_, _>)| {
        (members.len() == marked.len()).then_some(CommonPoint { number, members })
    };
    by_number.into_iter().filter_map(common).collect()
}

/// Tells whether a member's part is what it held.
fn is_exact(consistency: Consistency) -> bool {
    matches!(consistency, Consistency::Crash | Consistency::Application)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MachineName {
        text.parse().unwrap()
    }

    fn making() -> GroupMaking {
        GroupMaking::new(&[name("a"), name("b"), name("c")])
    }

    fn step(making: &mut GroupMaking, event: GroupEvent) -> Vec<GroupEffect> {
        let mut effects = Vec::new();
        making.step(event, &mut effects);
        effects
    }

    fn done(member: &str) -> GroupEvent {
        GroupEvent::Done(name(member))
    }

    fn failed(member: &str) -> GroupEvent {
        GroupEvent::Failed(name(member), "it broke".to_owned())
    }

    #[test]
    fn nobody_takes_before_everybody_holds() {
        let mut making = making();
        assert_eq!(step(&mut making, done("a")), []);
        assert_eq!(step(&mut making, done("a")), [], "the same answer twice counts once");
        assert_eq!(step(&mut making, done("b")), []);
        assert_eq!(step(&mut making, done("c")), [GroupEffect::TakeAll]);
        assert_eq!(step(&mut making, done("c")), []);
        assert_eq!(step(&mut making, done("a")), []);
        assert_eq!(step(&mut making, done("b")), [GroupEffect::End(Ok(()))]);
    }

    /// Every sequence of events up to a length: whatever happens, the invariants of the module hold.
    #[test]
    fn whatever_happens_all_are_told_and_it_ends_once() {
        let events = [done("a"), done("b"), failed("a"), failed("b"), GroupEvent::Late];
        let mut stack = vec![(GroupMaking::new(&[name("a"), name("b")]), Vec::new(), BTreeSet::new())];
        let mut ended = 0;
        while let Some((making, effects, held)) = stack.pop() {
            let taken = effects.contains(&GroupEffect::TakeAll);
            assert!(!taken || held.len() == 2, "taken while {held:?} held");
            let ends = effects.iter().filter(|effect| matches!(effect, GroupEffect::End(_))).count();
            assert!(ends <= 1);
            if ends == 1 {
                ended += 1;
                let good = effects.last() == Some(&GroupEffect::End(Ok(())));
                assert!(good || effects.contains(&GroupEffect::ReleaseAll), "all let go: {effects:?}");
            }
            for event in events.iter().filter(|_| effects.len() < 4 && ends == 0) {
                let (mut making, mut effects, mut held) = (making.clone(), effects.clone(), held.clone());
                if let (GroupEvent::Done(member), false) = (event, taken) {
                    held.insert(member.clone());
                }
                let before = making.clone();
                making.step(event.clone(), &mut effects);
                if making != before {
                    stack.push((making, effects, held));
                }
            }
        }
        assert!(ended > 10, "{ended}");
    }

    #[test]
    fn a_failure_in_either_phase_lets_everybody_go_and_says_who() {
        let mut first = making();
        step(&mut first, done("a"));
        let effects = step(&mut first, failed("b"));
        let why = "b did not hold its writes: it broke".to_owned();
        assert_eq!(effects, [GroupEffect::ReleaseAll, GroupEffect::End(Err(why))]);
        assert_eq!(step(&mut first, done("c")), [], "it is over");
        let mut late = making();
        step(&mut late, done("b"));
        let effects = step(&mut late, GroupEvent::Late);
        let why = "a, c did not hold its writes in time".to_owned();
        assert_eq!(effects, [GroupEffect::ReleaseAll, GroupEffect::End(Err(why))]);
        let mut second = making();
        ["a", "b", "c"].iter().for_each(|member| drop(step(&mut second, done(member))));
        assert_eq!(step(&mut second, failed("a")), []);
        assert_eq!(step(&mut second, done("b")), []);
        let effects = step(&mut second, done("c"));
        let why = "a made no point: it broke".to_owned();
        assert_eq!(effects, [GroupEffect::ReleaseAll, GroupEffect::End(Err(why))]);
    }

    fn marked(number: u64, consistency: Consistency) -> MarkedPoint {
        let (sequence, time) = (Sequence(number * 10), Timestamp(number * 100));
        MarkedPoint { number, sequence, time, consistency }
    }

    #[test]
    fn a_group_point_is_one_that_every_member_has_and_can_trust() {
        use Consistency::{Application, Crash, Fuzzy};
        let a = vec![marked(1, Crash), marked(2, Crash), marked(3, Application), marked(4, Crash)];
        let b = vec![marked(2, Crash), marked(3, Crash), marked(4, Fuzzy)];
        let common = common_points(&BTreeMap::from([(name("a"), a), (name("b"), b)]));
        let numbers: Vec<_> = common.iter().map(|point| point.number).collect();
        assert_eq!(numbers, [2, 3], "1 went from b, 4 is fuzzy at b");
        assert_eq!(common[1].members[&name("a")].consistency, Application);
        assert_eq!(common_points(&BTreeMap::new()), []);
    }

    #[test]
    fn the_time_of_a_point_is_that_of_its_latest_member() {
        let mut late = marked(1, Consistency::Crash);
        late.time = Timestamp(170);
        let members = BTreeMap::from([(name("a"), marked(1, Consistency::Crash)), (name("b"), late)]);
        assert_eq!(CommonPoint { number: 1, members }.time(), Timestamp(170));
    }
}
