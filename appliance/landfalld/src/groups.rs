//! Consistency groups: who belongs to them, which points they have, and their failback.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog::{Catalog, CatalogError, Change, Expect, Row, Table};
use control::api::{
    self, GroupAdd, GroupCreate, GroupDeleted, GroupMemberPoint, GroupPoint, GroupPoints, GroupRemove,
    GroupTo,
};
use control::heartbeat::Orders;
use control::{ApiError, Code};
use inventory::{CommonPoint, Group, GroupError, GroupMember, MarkedPoint, Record as _, common_points};
use target::MasterTarget;
use units::MachineName;

use crate::answers::now;
use crate::failure::{api_error, catalog_failed};
use crate::report;

/// Attempts to change a group while others change it.
const ATTEMPTS_MAX: usize = 16;

/// The consistency groups of this configuration server.
pub(crate) struct Groups {
    catalog: Arc<dyn Catalog>,
    pub(crate) table: Table<Group>,
    members: Table<GroupMember>,
    pub(crate) node: Arc<MasterTarget>,
    pub(crate) orders: Orders,
    pub(crate) heard: control::heartbeat::Servers,
    /// The groups a point of which is being made.
    pub(crate) making: Mutex<BTreeSet<MachineName>>,
}

impl Groups {
    /// Keeps groups in this catalog; members are machines of `node`, whose sources take `orders`.
    pub(crate) fn new(
        catalog: Arc<dyn Catalog>,
        node: Arc<MasterTarget>,
        orders: Orders,
        heard: control::heartbeat::Servers,
    ) -> Arc<Self> {
        let (table, members) = (Table::new(catalog.clone()), Table::new(catalog.clone()));
        Arc::new(Self { catalog, table, members, node, orders, heard, making: Mutex::default() })
    }

    /// Describes every group.
    pub(crate) fn list(&self) -> Result<api::Groups, ApiError> {
        let rows = self.table.list().map_err(|error| unusable(&error))?.rows;
        let groups = rows.iter().map(|row| self.describe(&row.record)).collect();
        Ok(api::Groups { time: now().into(), groups })
    }

    /// Describes one group.
    pub(crate) fn show(&self, name: &MachineName) -> Result<api::Group, ApiError> {
        Ok(self.describe(&self.find(name)?.record))
    }

    /// Makes a group.
    pub(crate) fn create(&self, request: GroupCreate) -> Result<api::Group, ApiError> {
        let GroupCreate { name, machines, every_seconds, hold_ms } = request;
        let what = format!("group {name} was not made");
        let group = Group::new(name.clone(), machines, every_seconds, hold_ms, now())
            .map_err(|error| refused(&what, &error))?;
        group.machines.iter().try_for_each(|machine| self.is_known(machine))?;
        for _ in 0..ATTEMPTS_MAX {
            if self.get(&name)?.is_some() {
                return Err(ApiError::new(Code::GroupExists, what));
            }
            group.machines.iter().try_for_each(|machine| self.is_free(&what, machine))?;
            let mut changes = vec![Change::put(&group, Expect::Absent)];
            changes.extend(group.machines.iter().map(|machine| joining(&name, machine)));
            if self.commit(&changes)? {
                tracing::info!(group = %name, members = group.machines.len(), "group made");
                return Ok(self.describe(&group));
            }
        }
        Err(crowded(what))
    }

    /// Takes a machine into a group.
    pub(crate) fn add(&self, request: GroupAdd) -> Result<api::Group, ApiError> {
        let GroupAdd { name, machine } = request;
        let what = format!("machine {machine} was not taken into group {name}");
        self.is_known(&machine)?;
        for _ in 0..ATTEMPTS_MAX {
            let Row { record, revision } = self.find(&name)?;
            let group = record.with(machine.clone()).map_err(|error| refused(&what, &error))?;
            self.is_free(&what, &machine)?;
            let changes = [Change::put(&group, Expect::At(revision)), joining(&name, &machine)];
            if self.commit(&changes)? {
                return Ok(self.describe(&group));
            }
        }
        Err(crowded(what))
    }

    /// Takes a machine out of a group.
    pub(crate) fn remove(&self, request: GroupRemove) -> Result<api::Group, ApiError> {
        let GroupRemove { name, machine } = request;
        let what = format!("machine {machine} was not taken out of group {name}");
        for _ in 0..ATTEMPTS_MAX {
            let Row { record, revision } = self.find(&name)?;
            let group = record.without(&machine).map_err(|error| refused(&what, &error))?;
            let changes = [Change::put(&group, Expect::At(revision)), leaving(&name, &machine)];
            if self.commit(&changes)? {
                return Ok(self.describe(&group));
            }
        }
        Err(crowded(what))
    }

    /// Deletes a group.
    pub(crate) fn delete(&self, name: &MachineName) -> Result<GroupDeleted, ApiError> {
        for _ in 0..ATTEMPTS_MAX {
            let Row { record: group, revision } = self.find(name)?;
            let mut changes = vec![Change::remove(group.key(), Expect::At(revision))];
            changes.extend(group.machines.iter().map(|machine| leaving(name, machine)));
            if self.commit(&changes)? {
                tracing::info!(group = %name, "group deleted");
                return Ok(GroupDeleted { name: group.name, machines: group.machines });
            }
        }
        Err(crowded(format!("group {name} was not deleted")))
    }

    /// Lists the points of a group.
    pub(crate) fn points(&self, name: &MachineName) -> Result<GroupPoints, ApiError> {
        let group = self.find(name)?.record;
        let points = self.common(&group).iter().map(describe_point).collect();
        Ok(GroupPoints { group: group.name, time: now().into(), points })
    }

    /// Finds the point of a group that is meant. Errors: it has none such.
    pub(crate) fn point(&self, name: &MachineName, to: GroupTo) -> Result<CommonPoint, ApiError> {
        let group = self.find(name)?.record;
        let mut points = self.common(&group);
        match to {
            GroupTo::Latest => {}
            GroupTo::Time(time) => points.retain(|point| point.time() <= time.0),
            GroupTo::Number(number) => points.retain(|point| point.number == number),
        }
        let what = || format!("group {name} has no such point");
        points.pop().ok_or_else(|| ApiError::new(Code::GroupPointNone, what()))
    }

    /// Refuses to let go of a machine that belongs to a group.
    pub(crate) fn refuse_if_member(&self, machine: &MachineName) -> Result<(), ApiError> {
        self.is_free(&format!("machine {machine} was not removed"), machine)
    }

    /// Takes the group off the points of a machine that the other members don't have: only a common point is one.
    pub(crate) fn keep_common(&self, points: &mut [api::Point]) {
        let mut known = BTreeMap::<MachineName, BTreeSet<u64>>::new();
        for point in points {
            let Some(mark) = &point.group else { continue };
            let numbers = known.entry(mark.group.clone()).or_insert_with(|| {
                let group = self.get(&mark.group).ok().flatten();
                group.map_or_else(BTreeSet::new, |row| {
                    self.common(&row.record).iter().map(|point| point.number).collect()
                })
            });
            if !numbers.contains(&mark.number) {
                point.group = None;
            }
        }
    }

    /// Returns how often points of a group are wanted: as it says itself, or as often as the member that wants application-consistent
    /// points most often.
    pub(crate) fn interval(&self, group: &Group) -> Option<Duration> {
        let policy = |name: &MachineName| Some(self.node.machine(name).ok()?.shared.lock().policy());
        let wanted = || group.machines.iter().filter_map(policy).map(|policy| policy.application_seconds);
        let seconds = group.every_seconds.or_else(|| wanted().filter(|seconds| *seconds > 0).min())?;
        Some(Duration::from_secs(seconds.into()))
    }

    /// Returns the points that every member has, by number.
    pub(crate) fn common(&self, group: &Group) -> Vec<CommonPoint> {
        common_points(&self.marked(group))
    }

    /// Returns the points with the mark of a group in the history of each member.
    pub(crate) fn marked(&self, group: &Group) -> BTreeMap<MachineName, Vec<MarkedPoint>> {
        let points = |name: &MachineName| {
            let Ok(machine) = self.node.machine(name) else { return Vec::new() };
            let state = machine.shared.lock();
            let marked = |point: &retention::Point| {
                let mark = point.group.as_ref().filter(|mark| mark.group == group.name)?;
                let (number, sequence) = (mark.number, point.sequence);
                Some(MarkedPoint { number, sequence, time: point.time, consistency: point.consistency })
            };
            state.timeline.points().filter_map(marked).collect()
        };
        group.machines.iter().map(|name| (name.clone(), points(name))).collect()
    }

    /// Returns a group. Errors: there is none of this name.
    pub(crate) fn find(&self, name: &MachineName) -> Result<Row<Group>, ApiError> {
        let unknown = || ApiError::new(Code::GroupUnknown, format!("group {name} is not known"));
        self.get(name)?.ok_or_else(unknown)
    }

    fn get(&self, name: &MachineName) -> Result<Option<Row<Group>>, ApiError> {
        self.table.get(name.as_str()).map_err(|error| unusable(&error))
    }

    fn is_known(&self, machine: &MachineName) -> Result<(), ApiError> {
        self.node.machine(machine).map(drop).map_err(|error| api_error(&error))
    }

    /// Refuses a machine that belongs to a group.
    fn is_free(&self, what: &str, machine: &MachineName) -> Result<(), ApiError> {
        let found = self.members.get(machine.as_str()).map_err(|error| unusable(&error))?;
        found.map_or(Ok(()), |row| {
            let cause = format!("machine {machine} is a member of group {}", row.record.group);
            let fix =
                format!("take it out with `landfall group remove {} {machine}` first", row.record.group);
            Err(ApiError::new(Code::GroupTaken, what).because(cause).fixed_by(fix))
        })
    }

    /// Commits, and tells whether nobody else was faster.
    fn commit(&self, changes: &[Change]) -> Result<bool, ApiError> {
        match self.catalog.commit(changes) {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(unusable(&error)),
        }
    }

    pub(crate) fn describe(&self, group: &Group) -> api::Group {
        let points = self.common(group);
        let every = self.interval(group).map(|every| u32::try_from(every.as_secs()).unwrap_or(u32::MAX));
        let last = group.last.as_ref().map(|last| api::GroupAttempt {
            number: last.number,
            begun: last.begun,
            failed: last.failed.clone(),
        });
        api::Group {
            name: group.name.clone(),
            machines: group.machines.clone(),
            every_seconds: every,
            own_interval: group.every_seconds.is_some(),
            hold_ms: group.hold_ms,
            points: points.len() as u64,
            newest: points.last().map(describe_point),
            last,
        }
    }
}

/// Describes a point of a group.
pub(crate) fn describe_point(point: &CommonPoint) -> GroupPoint {
    let member = |(machine, point): (&MachineName, &MarkedPoint)| GroupMemberPoint {
        machine: machine.clone(),
        sequence: point.sequence,
        time: point.time.into(),
        consistency: report::consistency(point.consistency),
    };
    GroupPoint {
        number: point.number,
        time: point.time().into(),
        members: point.members.iter().map(member).collect(),
    }
}

fn joining(group: &MachineName, machine: &MachineName) -> Change {
    let member = GroupMember { machine: machine.clone(), group: group.clone() };
    Change::put(&member, Expect::Absent)
}

fn leaving(group: &MachineName, machine: &MachineName) -> Change {
    let member = GroupMember { machine: machine.clone(), group: group.clone() };
    Change::remove(member.key(), Expect::Any)
}

fn refused(what: &str, error: &GroupError) -> ApiError {
    let code = match error {
        GroupError::Twice(_) | GroupError::Size(_) => Code::GroupMembers,
        GroupError::NotMember { .. } => Code::GroupMembers,
        GroupError::Span { .. } => Code::GroupSpan,
    };
    ApiError::new(code, what).because(error)
}

fn crowded(what: String) -> ApiError {
    ApiError::new(Code::GroupBusy, what).because("others changed the group at the same time, again and again")
}

/// Says that the catalog failed.
pub(crate) fn unusable(error: &CatalogError) -> ApiError {
    catalog_failed("the catalog can't be used now", error)
}
