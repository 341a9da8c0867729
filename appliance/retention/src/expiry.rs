//! What of a history goes, and why: old epochs whole, or their redo alone. One function has all rules.
//!
//! 1. What is older than the window goes.
//! 2. When there is no room, or the journal is over its budget, the policy acts: the oldest goes (*shrink*), or loses its
//!    redo first (*thin*: thinned epochs that end in one hour become one), or nothing does and the source is held back (*pause*).
//! 3. What somebody holds stays: a pin, a live view, the newest consistent point. An epoch behind it that would go
//!    otherwise keeps its before-images, which the held point needs, and loses its redo.
//!
//! Age is told by the records, never by a clock alone: see [`ages`].

use std::collections::VecDeque;
use std::time::Duration;

use units::{ByteLen, EpochNumber, Sequence, Timestamp};

use crate::{Policy, WhenFull};

/// What time without any record, between two epochs, ages a history at the most: a clock that jumps by years must not
/// empty it.
pub const GAP_MAX: Duration = Duration::from_secs(3600);
/// Before-images that thinned epochs may have together to become one: the index of an epoch must fit into memory.
pub const JOINED_LEN_MAX: ByteLen = ByteLen::gib(2);

const HOUR: u64 = 3_600_000_000;

/// What is to be known of a sealed epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSummary {
    /// Which.
    pub epoch: EpochNumber,
    /// The last of those that were joined into it; itself if none were.
    pub through: EpochNumber,
    /// Its first sequence.
    pub first: Sequence,
    /// Its last sequence.
    pub last: Sequence,
    /// When its last record was received.
    pub closed: Timestamp,
    /// What its redo takes on the volume; nothing if it was thinned.
    pub redo: ByteLen,
    /// What its before-images take.
    pub undo: ByteLen,
    /// It may lose its redo: it has one still, and an index.
    pub thinnable: bool,
    /// It may become one with a neighbour: it has lost its redo, and has an index.
    pub joinable: bool,
}

/// A point that must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The point.
    pub sequence: Sequence,
    /// Who wants it.
    pub holder: Holder,
}

/// Who wants a point to stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An operator, until the pin expires.
    Pin,
    /// A view that is open, which reads from this epoch on. It yields to the want of room.
    View {
        /// The first epoch it may read.
        from: EpochNumber,
    },
    /// Nobody yet: it is the newest consistent point there is. It yields to the want of room if there is a newer point.
    Newest {
        /// There is a newer point, if not a consistent one.
        yields: bool,
    },
}

/// What is to be known of a history to say what of it goes.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// The sealed epochs, oldest first.
    pub sealed: &'a [EpochSummary],
    /// What the epochs in use take, which never go.
    pub open: ByteLen,
    /// When the newest record of all was received.
    pub newest: Timestamp,
    /// How long ago that was, by a clock that never jumps.
    pub idle: Duration,
    /// What is wanted.
    pub policy: Policy,
    /// What must stay.
    pub holds: &'a [Hold],
    /// There is no room on the volume for what comes next.
    pub full: bool,
    /// There is room for what joining two epochs takes for a while.
    pub joins: bool,
}

/// Why something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// It closed before the window.
    Age {
        /// How long ago it closed.
        closed_for: Duration,
    },
    /// The journal is over its budget.
    Size {
        /// What the journal took before.
        journal: ByteLen,
    },
    /// The volume is full.
    NoRoom,
}

/// What goes of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it: the history begins behind it.
    Whole,
    /// Its redo: the points at its start and its end stay, those between go.
    Redo,
    /// The point at its end, of one that has lost its redo: it becomes one with the next.
    End,
}

/// One epoch that goes, or its redo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub epoch: EpochSummary,
    /// What of it.
    pub loss: Loss,
    /// Why.
    pub reason: ExpiryReason,
}

/// Why nothing goes though something should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Somebody holds a point.
    Held(Hold),
    /// The policy says that the source waits.
    Pause,
    /// There is no sealed epoch.
    Nothing,
}

/// What goes, in this order, and why no more does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiryPlan {
    /// What goes.
    pub steps: Vec<Expired>,
    /// Why room is wanted still, and none is made. Then the source must wait.
    pub wanting: Option<Kept>,
    /// What keeps epochs that are older than the window.
    pub held: Option<Hold>,
}

/// Plans what goes. With `full`, one step of room is planned: whether more is wanted shows when that is made.
pub fn plan_expiry(history: &History<'_>) -> ExpiryPlan {
    let sealed = history.sealed;
    assert!(sealed.windows(2).all(|pair| pair[0].epoch < pair[1].epoch), "epochs are listed oldest first");
    let mut planner = Planner::new(history);
    for (epoch, closed_for) in sealed.iter().zip(ages(sealed, history.newest, history.idle)) {
        if closed_for <= history.policy.window() {
            break;
        }
        planner.expire(epoch, ExpiryReason::Age { closed_for });
    }
    if history.full && planner.plan.steps.is_empty() {
        planner.make_room(ExpiryReason::NoRoom);
    }
    while planner.journal > history.policy.budget && planner.plan.wanting.is_none() {
        planner.make_room(ExpiryReason::Size { journal: planner.journal });
    }
    planner.plan
}

/// Returns how old each epoch is, oldest first: the time without records since the newest, and that between the epochs
/// behind it, each at most [`GAP_MAX`]. A clock that goes back makes nothing older.
pub fn ages(sealed: &[EpochSummary], newest: Timestamp, idle: Duration) -> Vec<Duration> {
    let (mut age, mut later) = (idle, newest);
    let mut ages: Vec<_> = sealed
        .iter()
        .rev()
        .map(|epoch| {
            age += later.since(epoch.closed).min(GAP_MAX);
            later = epoch.closed;
            age
        })
        .collect();
    ages.reverse();
    ages
}

impl EpochSummary {
    /// Returns what it takes on the volume.
    pub fn size(&self) -> ByteLen {
        self.redo + self.undo
    }
}

impl Hold {
    /// Returns the first sealed epoch it needs, if it needs any: the one its point lies in.
    fn needed(&self, sealed: &[EpochSummary]) -> Option<EpochNumber> {
        match self.holder {
            Holder::View { from } => Some(from),
            Holder::Pin | Holder::Newest { .. } => {
                sealed.iter().find(|epoch| epoch.last >= self.sequence).map(|epoch| epoch.epoch)
            }
        }
    }

    /// Tells whether it does not keep what is wanted for this reason: nothing yields to age.
    fn yields(&self, reason: ExpiryReason) -> bool {
        let for_room = !matches!(reason, ExpiryReason::Age { .. });
        for_room && matches!(self.holder, Holder::View { .. } | Holder::Newest { yields: true })
    }

    /// Tells whether it needs the point at the end of `earlier`, or the files of `later`.
    fn needs_apart(&self, earlier: &EpochSummary, later: &EpochSummary) -> bool {
        match self.holder {
            Holder::View { from } => later.through >= from,
            Holder::Pin | Holder::Newest { .. } => self.sequence == earlier.last,
        }
    }

    /// Tells whether it needs the redo of an epoch, not only its before-images: not for the last sequence of one.
    fn needs_redo(&self, epoch: &EpochSummary) -> bool {
        match self.holder {
            Holder::View { from } => epoch.epoch >= from,
            Holder::Pin | Holder::Newest { .. } => (epoch.first..epoch.last).contains(&self.sequence),
        }
    }
}

/// Tells whether two neighbours may become one: both have lost their redo, they end in the same hour and are not too large together,
/// and nobody needs what is lost by it.
pub fn may_join(earlier: &EpochSummary, later: &EpochSummary, holds: &[Hold], reason: ExpiryReason) -> bool {
    assert_eq!(earlier.last.next(), later.first, "neighbours follow one another");
    let same_hour = earlier.closed.0 / HOUR == later.closed.0 / HOUR;
    let fit = earlier.undo + later.undo <= JOINED_LEN_MAX;
    let held = |hold: &Hold| hold.needs_apart(earlier, later) && !hold.yields(reason);
    earlier.joinable && later.joinable && same_hour && fit && !holds.iter().any(held)
}

struct Planner<'a> {
    history: &'a History<'a>,
    /// What is left of the sealed epochs.
    left: VecDeque<EpochSummary>,
    journal: ByteLen,
    plan: ExpiryPlan,
}

impl<'a> Planner<'a> {
    fn new(history: &'a History<'a>) -> Self {
        let left = history.sealed.iter().copied().collect();
        let journal = history.open + history.sealed.iter().map(EpochSummary::size).sum();
        Self { history, left, journal, plan: ExpiryPlan::default() }
    }

    /// Returns who needs this epoch or one before it, if anybody does.
    fn holder(&self, epoch: EpochNumber, reason: ExpiryReason) -> Option<&'a Hold> {
        let needs = |hold: &Hold| hold.needed(self.history.sealed).is_some_and(|needed| needed <= epoch);
        self.history.holds.iter().find(|hold| needs(hold) && !hold.yields(reason))
    }

    fn may_thin(&self, epoch: &EpochSummary, reason: ExpiryReason) -> bool {
        let held = |hold: &Hold| hold.needs_redo(epoch) && !hold.yields(reason);
        epoch.thinnable && !self.history.holds.iter().any(held)
    }

    /// Lets an old epoch go, or its redo if somebody needs the rest.
    fn expire(&mut self, epoch: &EpochSummary, reason: ExpiryReason) {
        match self.holder(epoch.epoch, reason) {
            None => self.drop_oldest(reason),
            Some(hold) => {
                self.plan.held.get_or_insert_with(|| hold.clone());
                if self.may_thin(epoch, reason) {
                    self.thin(epoch.epoch, reason);
                }
            }
        }
    }

    /// Plans one step as the policy says, or why there is none.
    fn make_room(&mut self, reason: ExpiryReason) {
        let Some(oldest) = self.left.front() else {
            self.plan.wanting = Some(Kept::Nothing);
            return;
        };
        let held = self.holder(oldest.epoch, reason).cloned();
        let thinnable = self.left.iter().find(|epoch| self.may_thin(epoch, reason)).map(|epoch| epoch.epoch);
        match (self.history.policy.when_full, self.joinable(reason), thinnable, held) {
            (WhenFull::Pause, ..) => self.plan.wanting = Some(Kept::Pause),
            // What was thinned already gives up one more point before anything else gives up all between two.
            (WhenFull::Thin, Some(at), ..) => self.join(at, reason),
            (WhenFull::Thin, None, Some(epoch), _) => self.thin(epoch, reason),
            (.., Some(hold)) => self.plan.wanting = Some(Kept::Held(hold)),
            (.., None) => self.drop_oldest(reason),
        }
    }

    /// Returns where the oldest two lie that may become one.
    fn joinable(&self, reason: ExpiryReason) -> Option<usize> {
        let holds = self.history.holds;
        let may = |(earlier, later)| may_join(earlier, later, holds, reason);
        self.left.iter().zip(self.left.iter().skip(1)).position(may).filter(|_| self.history.joins)
    }

    fn drop_oldest(&mut self, reason: ExpiryReason) {
        let epoch = self.left.pop_front().expect("what goes is left");
        self.journal = ByteLen(self.journal.0 - epoch.size().0);
        self.plan.steps.push(Expired { epoch, loss: Loss::Whole, reason });
    }

    fn thin(&mut self, epoch: EpochNumber, reason: ExpiryReason) {
        let left = self.left.iter_mut().find(|each| each.epoch == epoch).expect("what is thinned is left");
        let thinned = EpochSummary { redo: ByteLen::ZERO, thinnable: false, joinable: true, ..*left };
        let whole = std::mem::replace(left, thinned);
        self.journal = ByteLen(self.journal.0 - whole.redo.0);
        self.plan.steps.push(Expired { epoch: whole, loss: Loss::Redo, reason });
    }
}

impl Planner<'_> {
    /// Makes one of two neighbours. How much room that makes shows when it is done.
    fn join(&mut self, at: usize, reason: ExpiryReason) {
        let later = self.left.remove(at + 1).expect("there is a neighbour");
        let left = &mut self.left[at];
        let epoch = *left;
        *left = EpochSummary {
            through: later.through,
            last: later.last,
            closed: later.closed,
            undo: epoch.undo + later.undo,
            ..epoch
        };
        self.plan.steps.push(Expired { epoch, loss: Loss::End, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: Timestamp = Timestamp(9_000_000);

    /// Four epochs of ten sequences and 10 MiB each, 7 of them redo, closed a second apart.
    fn sealed() -> Vec<EpochSummary> {
        let epoch = |number: u64| EpochSummary {
            epoch: EpochNumber(number),
            through: EpochNumber(number),
            first: Sequence(number * 10 - 9),
            last: Sequence(number * 10),
            closed: Timestamp((number + 4) * 1_000_000),
            redo: ByteLen::mib(7),
            undo: ByteLen::mib(3),
            thinnable: true,
            joinable: false,
        };
        (1..=4).map(epoch).collect()
    }

    fn policy(window_seconds: u32, budget_mib: u64, when_full: WhenFull) -> Policy {
        Policy { window_seconds, budget: ByteLen::mib(budget_mib), when_full, ..Policy::default() }
    }

    fn plan(policy: Policy, holds: &[Hold], full: bool) -> ExpiryPlan {
        let (sealed, idle) = (sealed(), Duration::from_millis(500));
        let open = ByteLen::mib(1);
        plan_expiry(&History {
            sealed: &sealed,
            open,
            newest: NEWEST,
            idle,
            policy,
            holds,
            full,
            joins: true,
        })
    }

    fn steps(plan: &ExpiryPlan) -> Vec<(u64, Loss, ExpiryReason)> {
        plan.steps.iter().map(|step| (step.epoch.epoch.0, step.loss, step.reason)).collect()
    }

    fn losses(plan: &ExpiryPlan) -> Vec<(u64, Loss)> {
        plan.steps.iter().map(|step| (step.epoch.epoch.0, step.loss)).collect()
    }

    fn pin(sequence: u64) -> Hold {
        Hold { sequence: Sequence(sequence), holder: Holder::Pin }
    }

    #[test]
    fn the_oldest_epochs_go_for_age_then_for_size() {
        let plan = plan(policy(3, 25, WhenFull::Shrink), &[], false);
        let age = ExpiryReason::Age { closed_for: Duration::from_millis(4500) };
        let second = ExpiryReason::Age { closed_for: Duration::from_millis(3500) };
        assert_eq!(steps(&plan), [(1, Loss::Whole, age), (2, Loss::Whole, second)]);
        assert_eq!((plan.wanting, plan.held), (None, None));
        let plan = self::plan(policy(4, 25, WhenFull::Shrink), &[], false);
        let size = ExpiryReason::Size { journal: ByteLen::mib(31) };
        assert_eq!(steps(&plan), [(1, Loss::Whole, age), (2, Loss::Whole, size)]);
    }

    #[test]
    fn a_clock_that_jumps_ages_nothing_by_more_than_an_hour_and_one_that_goes_back_by_nothing() {
        let year = 365 * 86_400 * 1_000_000;
        let mut epochs = sealed();
        epochs[3].closed = Timestamp(epochs[2].closed.0 + 10 * year);
        let newest = Timestamp(3 * year);
        let hour = Duration::from_secs(3600);
        let idle = Duration::from_secs(5);
        let second = Duration::from_secs(1);
        // Back from the fourth to the newest, ten years forward from the third to the fourth.
        assert_eq!(
            ages(&epochs, newest, idle),
            [idle + hour + 2 * second, idle + hour + second, idle + hour, idle]
        );
        let day = policy(86_400, 1000, WhenFull::Shrink);
        let history = History {
            sealed: &epochs,
            open: ByteLen::ZERO,
            newest,
            idle,
            policy: day,
            holds: &[],
            full: false,
            joins: true,
        };
        assert_eq!(plan_expiry(&history), ExpiryPlan::default());
    }

    #[test]
    fn what_is_needed_by_a_pin_stays_and_what_is_old_behind_it_loses_its_redo() {
        // Inside the second epoch: the first goes, the second stays whole, the third keeps its before-images.
        let held = plan(policy(2, 1000, WhenFull::Shrink), &[pin(15)], false);
        let losses: Vec<_> = held.steps.iter().map(|step| (step.epoch.epoch.0, step.loss)).collect();
        assert_eq!(losses, [(1, Loss::Whole), (3, Loss::Redo)]);
        assert_eq!((held.held, held.wanting), (Some(pin(15)), None));
        // The last of the second: its redo is not needed.
        let boundary = plan(policy(2, 1000, WhenFull::Shrink), &[pin(20)], false);
        let losses: Vec<_> = boundary.steps.iter().map(|step| (step.epoch.epoch.0, step.loss)).collect();
        assert_eq!(losses, [(1, Loss::Whole), (2, Loss::Redo), (3, Loss::Redo)]);
        // Behind all of them: nothing is held.
        assert_eq!(plan(policy(2, 1000, WhenFull::Shrink), &[pin(40)], false).held, None);
    }

    #[test]
    fn a_view_keeps_what_it_may_read_from_age_alone() {
        let view = Hold { sequence: Sequence(25), holder: Holder::View { from: EpochNumber(3) } };
        let held = plan(policy(1, 1000, WhenFull::Shrink), std::slice::from_ref(&view), false);
        let losses: Vec<_> = held.steps.iter().map(|step| (step.epoch.epoch.0, step.loss)).collect();
        assert_eq!(losses, [(1, Loss::Whole), (2, Loss::Whole)]);
        let full = plan(policy(100, 11, WhenFull::Shrink), &[view], false);
        assert_eq!((full.steps.len(), full.wanting), (3, None), "it yields to the want of room");
    }

    #[test]
    fn a_full_volume_does_as_the_policy_says_one_step_at_a_time() {
        let no_room = ExpiryReason::NoRoom;
        let shrink = plan(policy(100, 1000, WhenFull::Shrink), &[], true);
        assert_eq!(steps(&shrink), [(1, Loss::Whole, no_room)]);
        let thin = plan(policy(100, 1000, WhenFull::Thin), &[], true);
        assert_eq!(steps(&thin), [(1, Loss::Redo, no_room)]);
        let pause = plan(policy(100, 1000, WhenFull::Pause), &[], true);
        assert_eq!((steps(&pause), pause.wanting), (vec![], Some(Kept::Pause)));
    }

    #[test]
    fn a_pin_is_never_expired_for_room_and_thinning_goes_around_it() {
        let held = plan(policy(100, 1000, WhenFull::Shrink), &[pin(5)], true);
        assert_eq!((steps(&held), held.wanting), (vec![], Some(Kept::Held(pin(5)))));
        let thin = plan(policy(100, 20, WhenFull::Thin), &[pin(5)], false);
        assert_eq!(losses(&thin), [(2, Loss::Redo), (3, Loss::Redo), (2, Loss::End), (4, Loss::Redo)]);
        assert_eq!(thin.wanting, None, "41 MiB less 21");
        let thin = plan(policy(100, 19, WhenFull::Thin), &[pin(5)], false);
        assert_eq!(thin.wanting, Some(Kept::Held(pin(5))));
    }

    #[test]
    fn thinning_comes_before_dropping_and_both_before_wanting() {
        let plan = plan(policy(100, 5, WhenFull::Thin), &[], false);
        let (redo, end, whole) = (Loss::Redo, Loss::End, Loss::Whole);
        let (thinned, rest) = ([(1, redo), (2, redo), (1, end), (3, redo)], [(1, end), (4, redo), (1, end)]);
        assert_eq!(losses(&plan), [&thinned[..], &rest, &[(1, whole)]].concat());
        let nothing = self::plan(policy(100, 0, WhenFull::Shrink), &[], false);
        assert_eq!((nothing.steps.len(), nothing.wanting), (4, Some(Kept::Nothing)));
    }

    /// Epochs that were thinned, closed ten minutes apart: two in the first hour, two in the next.
    fn thinned() -> Vec<EpochSummary> {
        let minutes = [40_u64, 50, 60, 70];
        let thin = |(epoch, minutes)| EpochSummary {
            closed: Timestamp(minutes * 60_000_000),
            redo: ByteLen::ZERO,
            thinnable: false,
            joinable: true,
            ..epoch
        };
        sealed().into_iter().zip(minutes).map(thin).collect()
    }

    fn full(sealed: &[EpochSummary], holds: &[Hold], joins: bool) -> Vec<(u64, Loss)> {
        let policy = policy(1_000_000, 1000, WhenFull::Thin);
        let (open, newest, idle) = (ByteLen::ZERO, Timestamp(72 * 60_000_000), Duration::ZERO);
        losses(&plan_expiry(&History { sealed, open, newest, idle, policy, holds, full: true, joins }))
    }

    #[test]
    fn thinned_epochs_that_end_in_one_hour_become_one() {
        let mut epochs = thinned();
        assert_eq!(full(&epochs, &[], true), [(1, Loss::End)]);
        let second = epochs.remove(1);
        epochs[0] =
            EpochSummary { through: second.through, last: second.last, closed: second.closed, ..epochs[0] };
        assert_eq!(full(&epochs, &[], true), [(3, Loss::End)], "the first and the third end in two hours");
        assert_eq!(full(&epochs, &[], false), [(1, Loss::Whole)], "there is no room for it");
        epochs[1].undo = JOINED_LEN_MAX;
        let lost = full(&epochs, &[], true);
        assert!(lost.iter().all(|(_, loss)| *loss == Loss::Whole), "too large together: {lost:?}");
    }

    #[test]
    fn what_is_held_stays_an_end() {
        let epochs = thinned();
        assert_eq!(full(&epochs, &[pin(10)], true), [(3, Loss::End)], "the end of the first is pinned");
        let view = |from| Hold { sequence: Sequence(5), holder: Holder::View { from: EpochNumber(from) } };
        let reason = ExpiryReason::Age { closed_for: Duration::ZERO };
        let may = |hold: Hold| may_join(&epochs[0], &epochs[1], &[hold], reason);
        assert!(!may(view(2)) && may(view(3)), "a view reads what would be removed");
        let room = |hold: Hold| may_join(&epochs[0], &epochs[1], &[hold], ExpiryReason::NoRoom);
        assert!(room(view(1)) && !room(pin(10)) && room(pin(20)));
        let newest = |yields| Hold { sequence: Sequence(10), holder: Holder::Newest { yields } };
        assert!(room(newest(true)) && !room(newest(false)));
    }

    #[test]
    fn the_newest_consistent_point_outlives_the_window_and_yields_to_the_want_of_room_if_there_is_a_newer() {
        let newest = |yields| [Hold { sequence: Sequence(5), holder: Holder::Newest { yields } }];
        let old = |holds: &[Hold]| plan(policy(1, 1000, WhenFull::Shrink), holds, false);
        assert_eq!(old(&newest(true)).held, Some(newest(true)[0].clone()));
        assert_eq!(old(&newest(false)).held, Some(newest(false)[0].clone()));
        let full = |holds: &[Hold]| plan(policy(100, 1000, WhenFull::Shrink), holds, true);
        assert_eq!(steps(&full(&newest(true))), [(1, Loss::Whole, ExpiryReason::NoRoom)]);
        assert_eq!(full(&newest(false)).wanting, Some(Kept::Held(newest(false)[0].clone())));
    }
}
